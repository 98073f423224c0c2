"""Asking a language model: a server of our own that misbehaves as real ones do."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pipeline.concepts import answers as answer_files
from pipeline.concepts.language import ask, in_words
from pipeline.errors import ChoreoError


class Server:
    """Speaks OpenAI's chat protocol: answers with `script`, one entry a request, then with `otherwise`."""

    def __init__(self) -> None:
        self.script, self.requests, self.otherwise = [], [], chat('{"concepts": ["towel"]}')
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                server.requests.append((time.monotonic(), self.headers["Authorization"], body))
                reply = server.script.pop(0) if server.script else server.otherwise
                status, headers, content = reply(body) if callable(reply) else reply
                try:
                    self.send_response(status)
                    for name, value in ({"Content-Type": "application/json"} | headers).items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(content.encode())
                except OSError:
                    pass  # the client has given up

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def prompts(self) -> list[str]:
        return [body["messages"][0]["content"] for _, _, body in self.requests]


def chat(content, finish_reason="stop", refusal=None):
    message = {"role": "assistant", "content": content, "refusal": refusal}
    choice = {"index": 0, "message": message, "finish_reason": finish_reason}
    reply = {"id": "1", "object": "chat.completion", "created": 0, "model": "fake-2025", "choices": [choice]}
    return 200, {}, json.dumps(reply)


def failure(status, message="no", **headers):
    return status, headers, json.dumps({"error": {"message": message}})


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    server = Server()
    yield server
    server.http.shutdown()
    server.http.server_close()


@pytest.fixture
def asked(server, manifest, tmp_path):
    """Runs the stage against the server, for one class unless told otherwise; returns the answers."""

    def run(*labels, **options):
        out, cache = tmp_path / "raw.jsonl", tmp_path / "answers.jsonl"
        options = {"samples": 1, "retries": 2, "parallel": 1, "base_url": server.url, "answers": cache} | options
        ask(manifest(*(labels or ("golf_swing",))), out, **options)
        return answer_files.read(out)

    return run


def test_answers_come_in_the_order_of_class_kind_and_sample(asked, server):
    server.otherwise = lambda body: chat(json.dumps({"concepts": [body["messages"][0]["content"][:5]]}))
    found = asked("squat", "golf_swing", samples=2, parallel=4)
    order = [(a.question.label, a.question.kind, a.question.sample) for a in found]
    assert order == [(c, k, s) for c in ("golf_swing", "squat") for k in ("object", "scene") for s in (0, 1)]
    assert [a.concepts for a in found[:4]] == [["For t"], ["For t"], ["List "], ["List "]]
    assert found[0].served_by == "fake-2025"


def test_the_request_asks_for_a_schema_and_carries_the_options(asked, server):
    asked(model="some-model", temperature=0.7, max_tokens=99)
    _, authorization, body = server.requests[0]
    assert authorization == "Bearer sk-secret"
    assert (body["model"], body["temperature"], body["max_tokens"]) == ("some-model", 0.7, 99)
    form = body["response_format"]["json_schema"]
    assert form["strict"] and form["schema"]["required"] == ["concepts"]
    assert '"golf swing"' in body["messages"][0]["content"]


def test_a_replay_needs_no_key_and_no_server_and_gives_the_same_bytes(asked, server, tmp_path, monkeypatch):
    asked("squat", "golf_swing", samples=2)
    first, sent = (tmp_path / "raw.jsonl").read_bytes(), len(server.requests)
    monkeypatch.delenv("OPENAI_API_KEY")
    asked("squat", "golf_swing", samples=2)
    assert (tmp_path / "raw.jsonl").read_bytes() == first
    assert len(server.requests) == sent == 8


def test_what_was_written_is_itself_an_answer_file(asked, server, tmp_path):
    asked()
    before = (tmp_path / "raw.jsonl").read_bytes()
    (tmp_path / "raw.jsonl").rename(tmp_path / "shipped.jsonl")
    asked(answers=tmp_path / "shipped.jsonl")
    assert (tmp_path / "raw.jsonl").read_bytes() == before
    assert len(server.requests) == 2


def test_a_new_class_costs_its_own_questions_only(asked, server):
    asked("squat")
    asked("squat", "golf_swing")
    assert len(server.requests) == 4
    assert all("golf swing" in prompt for prompt in server.prompts[2:])


@pytest.mark.parametrize("change", [{"model": "other"}, {"temperature": 0.9}, {"structured": False}])
def test_another_model_or_parameter_is_another_question(asked, server, change):
    asked()
    asked(**change)
    assert len(server.requests) == 4


def test_without_a_key_the_error_names_the_class_and_both_ways_out(asked, server, monkeypatch):
    asked("squat")
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(ChoreoError) as error:
        asked("squat", "golf_swing")
    for part in (
        "objects of 'golf_swing'",
        "OPENAI_API_KEY",
        "golf_swing: {object: [...], scene: [...]}",
        "`answers`",
    ):
        assert part in str(error.value)
    assert len(server.requests) == 2


def test_a_busy_server_is_given_the_time_it_asks_for(asked, server):
    server.script = [failure(429, **{"Retry-After": "0.4"})]
    asked()
    assert server.requests[1][0] - server.requests[0][0] >= 0.4


def test_a_failing_server_is_tried_again(asked, server):
    server.script = [failure(500, **{"retry-after-ms": "10"}), failure(503, **{"retry-after-ms": "10"})]
    assert len(asked()) == 2


@pytest.mark.parametrize(("status", "part"), [(429, "budget"), (500, "down")])
def test_a_server_that_never_answers_is_named_and_what_was_answered_stays(asked, server, tmp_path, status, part):
    server.script = [chat('{"concepts": ["club"]}')]
    server.otherwise = failure(status, **{"retry-after-ms": "10"})
    with pytest.raises(ChoreoError, match=part) as error:
        asked()
    assert "scenes of 'golf_swing' in 3 tries" in str(error.value)
    assert len(server.requests) == 4
    assert "club" in (tmp_path / "answers.jsonl").read_text()
    assert not (tmp_path / "raw.jsonl").exists()


def test_a_server_that_is_not_there_or_too_slow_is_an_error(asked, server):
    with pytest.raises(ChoreoError, match="out of reach"):
        asked(base_url="http://127.0.0.1:9/v1", retries=0)
    server.otherwise = lambda _: time.sleep(0.6) or chat("{}")
    with pytest.raises(ChoreoError, match="out of reach"):
        asked(retries=0, timeout=0.2)


def test_a_wrong_key_is_an_error_at_once_and_is_not_shown(asked, server):
    server.otherwise = failure(401, "Incorrect API key provided: sk-secret")
    with pytest.raises(ChoreoError, match="refuses the key") as error:
        asked(*"abcdefgh")
    assert "sk-secret" not in str(error.value)
    assert len(server.requests) < 4  # the other questions are not asked


def test_a_server_without_structured_output_is_explained(asked, server):
    server.otherwise = failure(400, "unknown field response_format")
    with pytest.raises(ChoreoError, match="structured: false"):
        asked()
    assert len(server.requests) == len(set(server.prompts))  # none is asked twice


@pytest.mark.parametrize(
    ("reply", "part"),
    [
        (chat('{"concepts": ["golf cl', "length"), "cut off after 512 tokens"),
        (chat('{"concepts": ["golf club"]}', "length"), "cut off"),
        (chat(None, refusal="I cannot help with that"), "refuses to list the objects of 'golf_swing': I cannot help"),
        (chat("", "content_filter"), "refuses"),
        (chat(""), "is empty"),
        (chat(None), "is empty"),
        (chat('{"concepts": ["golf cl'), "not the JSON that was asked for"),
        (chat('{"objects": []}'), "not the JSON"),
        (chat('{"concepts": [1, 2]}'), "not the JSON"),
        (chat('["golf club"]'), "not the JSON"),
        ((200, {"Content-Type": "text/html"}, "<html>welcome</html>"), "OpenAI-compatible"),
    ],
)
def test_an_answer_that_is_not_whole_is_an_error_and_not_kept(asked, server, tmp_path, reply, part):
    server.script = [reply]
    with pytest.raises(ChoreoError, match=part):
        asked()
    cache = tmp_path / "answers.jsonl"
    assert not cache.exists() or '"object"' not in cache.read_text()
    assert len(asked()) == 2  # asked again, it answers


def test_no_concept_at_all_is_an_answer(asked, server, caplog):
    server.script = [chat('{"concepts": []}')]
    assert asked()[0].concepts == []
    assert "names no objects of 'golf_swing'" in caplog.text


def test_other_scripts_are_kept_readable(asked, server, tmp_path):
    server.otherwise = chat('{"concepts": ["café", "羽毛球拍"]}')
    assert asked("羽毛球")[0].concepts == ["café", "羽毛球拍"]
    assert "羽毛球拍" in (tmp_path / "answers.jsonl").read_text()


def test_lines_are_read_without_bullets_numbers_and_introduction(asked, server):
    server.otherwise = chat("Here are the objects:\n\n- golf club\n2. 7-iron\n• a ball \n3) tee\nflag")
    assert asked(structured=False)[0].concepts == ["golf club", "7-iron", "a ball", "tee", "flag"]
    assert "response_format" not in server.requests[0][2]
    assert server.prompts[0].endswith("nothing else.")


def test_a_line_cut_by_a_killed_job_is_passed_over_and_the_next_starts_anew(asked, server, tmp_path, caplog):
    asked()
    cache = tmp_path / "answers.jsonl"
    whole = cache.read_text()
    cache.write_text(whole[:-20])
    asked()
    assert "line 2 is passed over" in caplog.text
    assert len(server.requests) == 3
    lines = cache.read_text().split("\n")
    assert lines[0] == whole.split("\n")[0] and lines[2] == whole.split("\n")[1]


def test_a_record_whose_question_was_edited_does_not_count(asked, server, tmp_path, caplog):
    asked()
    cache = tmp_path / "answers.jsonl"
    cache.write_text(cache.read_text().replace("tangible", "edible"))
    asked()
    assert "its key does not fit" in caplog.text
    assert len(server.requests) == 3


def test_lists_written_by_people_are_answers_too(asked, server, tmp_path, monkeypatch, caplog):
    monkeypatch.delenv("OPENAI_API_KEY")
    lists = tmp_path / "lists.yaml"
    lists.write_text("golf_swing: {object: [golf club, café chair], scene: []}\nbowling: {object: [], scene: []}")
    found = asked(answers=lists)
    assert [a.concepts for a in found] == [["golf club", "café chair"], []]
    assert {a.question.model for a in found} == {"imported"}
    assert "'bowling' is no class" in caplog.text
    assert not server.requests


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("golf_swings: {object: [], scene: []}", "did you mean 'golf_swings'"),
        ("golf_swing: {object: [club]}", "it has no `scene`"),
        ("golf_swing: {object: club, scene: []}", "not a list"),
        ("golf_swing: {object: [no], scene: []}", "holds False, which is no text"),
        ("golf_swing: {object: [a], object: [b], scene: []}", "'object' stands twice"),
        ("golf_swing: [", "cannot be read"),
        ("- golf_swing", "holds a list"),
    ],
)
def test_lists_with_a_slip_are_explained(asked, tmp_path, text, part):
    lists = tmp_path / "lists.yaml"
    lists.write_text(text)
    with pytest.raises(ChoreoError, match=part):
        asked(answers=lists)


def test_labels_are_put_in_words():
    labels = ["ApplyEyeMakeup", "YoYo", "b_volley", "jump rope"]
    assert list(in_words(labels, {"b_volley": "backhand volley"}).values()) == [
        "apply eye makeup",
        "yo yo",
        "backhand volley",
        "jump rope",
    ]
    with pytest.raises(ChoreoError, match="did you mean 'b_volley'"):
        in_words(labels, {"b_voley": "x"})
    with pytest.raises(ChoreoError, match="no labels"):
        in_words([], {})
