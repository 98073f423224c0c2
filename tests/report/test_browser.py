"""The pages in a real browser: they open from disk, and react."""

import re
import shutil
import subprocess
from pathlib import Path

import aqa_run
import proda_run
import pytest

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--disable-quic", "--virtual-time-budget=2000"]  # fmt: skip


def opened(page: Path, profile: Path) -> str:
    """A page as a browser has it once its script has run."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("there is no Chromium to open the report with")
    return subprocess.run(
        [browser, *FLAGS, f"--user-data-dir={profile}", "--dump-dom", f"file://{page}"],
        capture_output=True, text=True, timeout=120, check=True,
    ).stdout  # fmt: skip


def test_dances_page_opens_from_disk_and_its_script_runs(run, tmp_path):
    run.page()
    shown = opened(run.folder / "report.html", tmp_path / "profile")
    assert re.search(r"(Stop|Move) the skeletons", shown)
    assert re.search(r"<th[^>]*><button", shown), "the headings of tables were not made sortable: the script stopped"


def test_prodas_page_shows_the_chosen_question_alone(tmp_path):
    run = proda_run.build(tmp_path)
    probe = """<script>
        const pick = document.querySelectorAll(".asks .pick input");
        const answers = document.querySelectorAll(".asks .answer");
        const shown = () => [...answers].slice(0, 2).map(a => getComputedStyle(a).display !== "none").join();
        const before = shown(); pick[1].click(); document.title = "shown " + before + " " + shown();
    </script>"""
    page = tmp_path / "probe.html"
    page.write_text(run.page().replace("</body>", probe + "</body>"))
    assert "<title>shown true,false false,true</title>" in opened(page, tmp_path / "profile")


def test_aqas_curves_lie_under_the_film_at_the_same_seconds(tmp_path):
    run = aqa_run.build(tmp_path)
    probe = """<script>
        const lanes = document.querySelector("article.video").querySelectorAll(".lane > :nth-child(2)");
        const edges = [...lanes].map(lane => lane.getBoundingClientRect()).map(r => [r.left, r.right].map(Math.round));
        const places = new Set(edges.map(String)).size;
        document.title = `lanes ${lanes.length} places ${places} wide ${lanes[0].clientWidth > 200}`;
    </script>"""
    page = tmp_path / "probe.html"
    page.write_text(run.page().replace("</body>", probe + "</body>"))
    shown = opened(page, tmp_path / "profile")
    assert re.search(r"<title>lanes [5-9] places 1 wide true</title>", shown), re.findall("<title>.*</title>", shown)
    assert re.search(r"<th[^>]*><button", shown), "the headings of tables were not made sortable: the script stopped"
