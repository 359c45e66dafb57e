"""Pictures of a study's page: in a wide window, in a narrow one, in the dark; and its figure in grey.

    python reports/pictures.py reports/mnist

Needs the extra `dev`, an installed Chromium, and report.png (`python -m search.report STUDY --pictures`).
Writes page-wide.png, page-narrow.png, page-dark.png and report-grey.png.
"""

import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

PICTURES = {  # name: width and height of the window in pixels, and its colour scheme
    "page-wide": (1280, 3800, "light"),  # down to the last plot
    "page-narrow": (400, 2000, "light"),
    "page-dark": (1280, 1500, "dark"),
}


def main(folder: Path) -> None:
    """Write the pictures of `folder`/report.html beside it."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name, (width, height, scheme) in PICTURES.items():
            page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
            page.set_default_timeout(120_000)
            page.goto((folder / "report.html").resolve().as_uri())
            page.wait_for_selector("#pareto .annotation-text")
            page.wait_for_timeout(1_000)
            page.screenshot(path=folder / f"{name}.png")
            page.close()
        browser.close()
    Image.open(folder / "report.png").convert("L").save(folder / "report-grey.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
