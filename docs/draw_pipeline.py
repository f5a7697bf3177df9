"""Draw docs/images/pipeline.svg: the steps of a day, what they read and what they write.

python docs/draw_pipeline.py
"""

from html import escape
from pathlib import Path

STEPS = [
    ("plan", "ledger rows,\nshards"),
    ("collect", "every page,\n≤ 1,000/s"),
    ("refine", "raw → typed\nParquet"),
    ("load", "replace the\ncharacter-days"),
    ("marts", "DuckDB\nor Spark"),
    ("verify", "four holders,\nequal contents"),
    ("report", "page and\none mail"),
]
SOURCES = {"plan": "roster", "collect": "Neople Open API"}
WRITES = {
    "plan": ["warehouse"],
    "collect": ["warehouse", "lake"],
    "refine": ["lake"],
    "load": ["warehouse"],
    "marts": ["warehouse", "lake"],
    "verify": ["warehouse"],
    "report": ["lake", "mail"],
}
STORES = {
    "warehouse": (20, 466, "PostgreSQL", "roster · ledger · events · marts · limiter"),
    "lake": (506, 330, "Lake on S3", "raw · Parquet · marts · reports"),
    "mail": (856, 130, "Mail", "one a day"),
}
WIDTH, BOX, GAP, TOP = 1006, 118, 24, 96
STYLE = """
  text { font-family: system-ui, sans-serif; fill: #1f2933; text-anchor: middle }
  .name { font-size: 17px; font-weight: 600 } .note { font-size: 12px; fill: #52606d }
  .box { fill: #e8f1fb; stroke: #2f6fb0; stroke-width: 1.5 } .source { fill: #fdf3e1; stroke: #b7791f }
  .store { fill: #e9f7ef; stroke: #2f855a; stroke-width: 1.5 }
  path { fill: none; stroke: #7b8794; stroke-width: 1.5; marker-end: url(#tip) }
"""


def draw() -> str:
    """Give the picture as SVG."""
    parts = [text for number, step in enumerate(STEPS) for text in _draw_step(number, *step)]
    parts += [text for store in STORES.values() for text in _draw_box(*store, y=300, kind="store")]
    tip = '<marker id="tip" markerWidth="9" markerHeight="9" refX="7" refY="4" orient="auto">'
    tip += '<path d="M0,0 L8,4 L0,8 z" style="fill:#7b8794;stroke:none;marker-end:none"/></marker>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} 376" role="img"'
        ' aria-label="The steps of a day: plan, collect, refine, load, marts, verify, report">'
        f"<style>{STYLE}</style><defs>{tip}</defs>"
        f'<rect width="{WIDTH}" height="376" fill="#ffffff"/>{"".join(parts)}</svg>\n'
    )


def _draw_step(number: int, name: str, note: str) -> list[str]:
    left = 20 + number * (BOX + GAP)
    middle = left + BOX // 2
    parts = _draw_box(left, BOX, name, note, y=TOP, kind="box")
    if number:
        parts.append(f'<path d="M{left - GAP + 2},{TOP + 44} L{left - 3},{TOP + 44}"/>')
    if name in SOURCES:
        parts += _draw_box(left, BOX, SOURCES[name], "", y=20, kind="box source")
        parts.append(f'<path d="M{middle},58 L{middle},{TOP - 3}"/>')
    for place, store in enumerate(WRITES[name]):
        x = middle + (place * 2 - len(WRITES[name]) + 1) * 18
        target = min(max(x, STORES[store][0] + 24), STORES[store][0] + STORES[store][1] - 24)
        parts.append(f'<path d="M{x},{TOP + 90} C{x},240 {target},240 {target},297"/>')
    return parts


def _draw_box(left: int, width: int, name: str, note: str, *, y: int, kind: str) -> list[str]:
    lines = [line for line in note.split("\n") if line]
    height = 36 if not lines else (90 if kind == "box" else 60)
    middle = left + width // 2
    size = "note" if "source" in kind else "name"
    parts = [f'<rect class="{kind}" x="{left}" y="{y}" width="{width}" height="{height}" rx="8"/>']
    parts.append(f'<text class="{size}" x="{middle}" y="{y + 23}">{escape(name)}</text>')
    parts += [
        f'<text class="note" x="{middle}" y="{y + 45 + place * 17}">{escape(line)}</text>'
        for place, line in enumerate(lines)
    ]
    return parts


if __name__ == "__main__":
    Path(__file__).with_name("images").joinpath("pipeline.svg").write_text(draw(), encoding="utf-8")
