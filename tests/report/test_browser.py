"""The page in a real browser: it opens from disk, and its script runs."""

import re
import shutil
import subprocess

import pytest

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--disable-quic", "--virtual-time-budget=2000"]  # fmt: skip


def test_the_page_opens_from_disk_and_its_script_runs(run, tmp_path):
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("there is no Chromium to open the report with")
    run.page()
    shown = subprocess.run(
        [browser, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", f"file://{run.folder}/report.html"],
        capture_output=True, text=True, timeout=120, check=True,
    ).stdout  # fmt: skip
    assert re.search(r"(Stop|Move) the skeletons", shown)
    assert re.search(r"<th[^>]*><button", shown), "the headings of tables were not made sortable: the script stopped"
