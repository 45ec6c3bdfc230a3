"""The style sheet of a page, with light and dark colors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Colors by their name in the style sheet: light, dark.
COLOURS: Final[Mapping[str, tuple[str, str]]] = {
    "back": ("#ffffff", "#11151a"),
    "panel": ("#f4f6f8", "#1a2027"),
    "text": ("#1b2129", "#e4e9ef"),
    "muted": ("#4d5866", "#a7b2bf"),
    "rule": ("#cfd6de", "#36404b"),
    "edge": ("#6b7785", "#8793a1"),
    "link": ("#0b56b3", "#7db8ff"),
    "focus": ("#0b56b3", "#ffd166"),
    "ok": ("#0f5c2e", "#8ee0a8"),
    "ok-back": ("#dff4e5", "#123522"),
    "error": ("#98141f", "#ffb0ad"),
    "error-back": ("#fde6e5", "#45171a"),
    "warning": ("#6f4700", "#ffd28a"),
    "warning-back": ("#fdf0d0", "#3d2c08"),
    "note": ("#164f86", "#a5d0ff"),
    "note-back": ("#e2effc", "#14304b"),
    "clean": ("#1b2129", "#e4e9ef"),
    "clean-back": ("#e9edf2", "#29323c"),
    "other": ("#4d5866", "#a7b2bf"),
    "other-back": ("#f4f6f8", "#1a2027"),
}
#: Pairs of text colors and backgrounds.
ON: Final = (
    *((front, back) for front in ("text", "muted", "link") for back in ("back", "panel")),
    *((state, f"{state}-back") for state in ("ok", "error", "warning", "note", "clean", "other")),
    *((state, back) for state in ("ok", "error", "warning", "note") for back in ("back", "panel")),
)
#: Pairs of meaningful line colors and backgrounds.
LINES: Final = (
    *((line, back) for line in ("edge", "error", "focus") for back in ("back", "panel")),
)

_STATES: Final = ("ok", "error", "warning", "note", "clean", "other")

_SHEET: Final = """\
*{box-sizing:border-box}
html{color-scheme:light dark;background:var(--back);color:var(--text);
font:1rem/1.5 system-ui,"Segoe UI",Roboto,"Noto Sans",sans-serif;-webkit-text-size-adjust:100%}
body{margin:0}
a{color:var(--link);text-underline-offset:.3em}
:focus-visible{outline:3px solid var(--focus);outline-offset:2px;border-radius:2px}
.skip{position:absolute;left:-999rem}
.skip:focus{left:.5rem;top:.5rem;background:var(--back);padding:.5rem;z-index:1}
header,nav,main,footer{max-width:80rem;margin:0 auto;padding:0 1.25rem}
header{padding-top:1.25rem}
footer{padding-top:1rem;padding-bottom:2rem;color:var(--muted);font-size:.875rem}
h1{font-size:1.25rem;margin:0}
h2{font-size:1.375rem;line-height:1.3;margin:0 0 .75rem}
h3{font-size:1.125rem;margin:2.25rem 0 .5rem}
h4{font-size:1rem;margin:0}
p{margin:.5rem 0;max-width:48rem}
p,li,dd,h2,summary,.mark{overflow-wrap:anywhere}
ul,ol{padding-left:1.25rem}
code,.path,.name,pre,svg text{font-family:ui-monospace,"SF Mono",Consolas,"DejaVu Sans Mono",
monospace}
code,.path{font-size:.875em;overflow-wrap:anywhere;unicode-bidi:isolate;direction:ltr}
.muted,figcaption{color:var(--muted)}
.unseen{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);
white-space:nowrap}
nav ul{list-style:none;margin:.5rem 0 0;padding:0;display:flex;flex-wrap:wrap;gap:.25rem 1.25rem}
.wheel nav{padding:0}
nav.wheels li{flex:1 1 100%;margin:.125rem 0}
.wheel{border-top:1px solid var(--rule);margin-top:1.5rem;padding-top:1.5rem}
.verdict{border:1px solid;border-left-width:.5rem;border-radius:.375rem;padding:1rem 1.25rem}
.verdict p{margin:.25rem 0;color:var(--text);max-width:none}
.verdict .answer{font-size:1.375rem;font-weight:700;color:inherit}
.verdict .reach{font-size:1.125rem}
.facts{display:flex;flex-wrap:wrap;gap:.75rem 2.5rem;margin:1rem 0}
.facts div{min-width:0}
dt{color:var(--muted);font-size:.875rem}
dd{margin:0}
.mark{display:inline-block;border:1px solid;border-radius:1rem;padding:0 .5rem;font-size:.8125rem;
font-weight:600}
td .mark{white-space:nowrap}
.finding{border:1px solid var(--rule);border-radius:.375rem;padding:.75rem 1rem;margin:.75rem 0}
.finding .title{display:flex;flex-wrap:wrap;gap:.25rem .75rem;align-items:baseline}
.finding p{max-width:none}
.finding>ul{margin:.5rem 0}
.finding li{margin:.375rem 0}
.hint{display:block}
.mend dt{font-weight:600;color:var(--text);margin-top:.5rem}
.mend dd{max-width:52rem}
summary{cursor:pointer;padding:.25rem 0;color:var(--link)}
.scroll{overflow-x:auto;border:1px solid var(--rule);border-radius:.375rem;background:var(--panel);
position:relative}
table{border-collapse:collapse;width:100%;font-size:.875rem}
th,td{padding:.375rem .75rem;text-align:left;vertical-align:top;border-top:1px solid var(--rule)}
thead th{vertical-align:bottom;border-top:0}
tbody th{font-weight:400;min-width:13rem}
.number{text-align:right;white-space:nowrap}
.center{text-align:center}
.releases{background:var(--back)}
.releases thead th{font-weight:400;color:var(--muted);padding:.375rem 0;
border-left:1px solid var(--rule)}
.releases thead th:first-child{border-left:0;padding:.375rem .75rem}
.releases thead th.promised{color:var(--text);font-weight:700}
.releases thead span{writing-mode:vertical-rl;display:block;margin:0 auto;line-height:1.6}
.releases tbody th{position:sticky;left:0;background:var(--back);min-width:11rem;max-width:19rem;
z-index:1}
.releases tbody th .muted{display:block;font-size:.8125rem}
.releases td{border:1px solid var(--back);min-width:1.5rem;padding:.375rem .25rem;
text-align:center;vertical-align:middle;white-space:nowrap}
.releases td .shown{position:sticky;left:19.5rem;right:.5rem}
.releases ul{padding-left:1rem;margin:.25rem 0}
figure{margin:.5rem 0}
figure .scroll{padding:.5rem}
figcaption{font-size:.875rem;margin:.5rem 0;max-width:48rem}
svg{display:block}
.graph{max-width:100%;height:auto}
.graph text{fill:var(--text);font-size:12px}
.graph .note{fill:var(--muted);font-size:11px}
.graph rect{fill:var(--back);stroke:var(--edge)}
.graph .elsewhere rect{stroke-dasharray:4 3}
.line{fill:none;stroke:var(--edge);stroke-width:1.25}
.head{fill:var(--edge)}
.line.wrong{stroke:var(--error);stroke-width:2;stroke-dasharray:6 3}
.head.wrong{fill:var(--error)}
.sizes{width:100%;max-width:64rem;height:auto}
.sizes rect{stroke:var(--back);stroke-width:2}
.sizes text{font-size:12px}
.sizes .note{font-size:11px}
.sizes.narrow{display:none}
.key{list-style:none;padding:0;display:flex;flex-wrap:wrap;gap:.25rem 1rem;margin:.5rem 0;
font-size:.875rem}
@media (max-width:44rem){
header,nav,main,footer{padding-left:1rem;padding-right:1rem}
.sizes.wide{display:none}
.sizes.narrow{display:block}
tbody th{min-width:10rem}
.releases tbody th{min-width:9rem;max-width:9rem}
.releases td .shown{left:9.5rem}
}
@media (prefers-reduced-motion:no-preference){html{scroll-behavior:smooth}}
@media print{.scroll{overflow:visible}.skip{display:none}}
"""


def sheet() -> str:
    """Return the style sheet of a page; the reader's system selects light or dark."""
    light, dark = (
        "".join(f"--{name}:{pair[n]};" for name, pair in COLOURS.items()) for n in (0, 1)
    )
    states = "".join(
        f".{s}{{color:var(--{s});background:var(--{s}-back);border-color:var(--{s})}}\n"
        f".graph .{s} .box{{fill:var(--{s}-back)}}\n"
        f".graph .{s} rect{{stroke:var(--{s})}}\n"
        f".sizes .{s} rect{{fill:var(--{s}-back)}}\n"
        f".sizes .{s} text{{fill:var(--{s})}}\n"
        for s in _STATES
    )
    return (
        f":root{{{light}}}\n@media (prefers-color-scheme:dark){{:root{{{dark}}}}}\n{_SHEET}{states}"
    )
