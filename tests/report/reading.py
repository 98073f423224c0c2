"""Reading a page as a browser and a reader do."""

from html.parser import HTMLParser


class Reader(HTMLParser):
    """The tags, attributes and visible words of a page."""

    VOID = {"meta", "img", "input", "br", "link"}

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags, self.attributes, self.open, self.words = [], [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"style", "script"} & set(self.open):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def section(page: str, name: str) -> str:
    """One section of a page."""
    return page.split(f'<section id="{name}">')[1].split("</section>")[0]
