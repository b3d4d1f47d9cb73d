"""Texts that a stranger may give as the name of a class, an image or a run."""

HOSTILE_TEXTS = {
    "html": "<script>alert(1)</script><img src=//host.example/x>",
    "markdown": "![x](http://host.example/x) [click](http://host.example) **b** `c` $x$ :material/x:",
    "heading": "a\rb\r===\r\n# big\n---",
    "separators": "a\u2028b\u2029# c\x0bd\x0ce\x85f",
    "directions": "\u202eevil\u202c \u200f",
    "formula": '=HYPERLINK("http://host.example","x")',
    "path": "../../etc/passwd",
    "long": "x" * 20_000,
    "blank": " ",
}
