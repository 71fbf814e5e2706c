"""What a run leaves behind: a table that grows on the terminal, and NAME.json, NAME.md and NAME.svg in the results folder."""
import datetime
import json
import math
import os
import platform
from html import escape


class Table:
    """Prints each row as it comes."""

    def __init__(self, header, widths=()):
        self.rows = [header]
        self.widths = [max(len(cell), width) for cell, width in zip(header, list(widths) + [0] * len(header))]
        self.show(header)

    def add(self, cells):
        self.rows.append([str(cell) for cell in cells])
        self.show(self.rows[-1])

    def show(self, cells):
        print("  ".join([cells[0].ljust(self.widths[0])] + [cell.rjust(width) for cell, width in zip(cells[1:], self.widths[1:])]),
              flush=True)

    def markdown(self):
        lines = ["| " + " | ".join(cells) + " |" for cells in self.rows]
        lines.insert(1, "|---" + "|---:" * (len(self.rows[0]) - 1) + "|")
        return "\n".join(lines) + "\n"


def machine():
    model = "unknown CPU"
    with open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith(("model name", "Model")):
                model = line.partition(":")[2].strip()
                break
    return {"cpu": model, "cpus": os.cpu_count(), "kernel": platform.release(), "machine": platform.machine(),
            "memory_gb": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9, 1)}


def verdict(met):
    return "MET" if met else "MISSED"


def save(bench, name, results, markdown, svg=None):
    os.makedirs(bench.out, exist_ok=True)
    where = machine()
    date = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    parts = {"json": json.dumps({"run": name, "date": date, "machine": where, "commands": bench.commands, "quick": bench.quick,
                                 "results": results}, indent=1),
             "md": f"{date}, {where['cpus']} x {where['cpu']}, Linux {where['kernel']}\n\n{markdown}"}
    if svg:
        parts["svg"] = svg
    for extension, text in parts.items():
        with open(os.path.join(bench.out, f"{name}.{extension}"), "w") as file:
            file.write(text)
    print(f"-> {os.path.relpath(os.path.join(bench.out, name))}.{{{','.join(parts)}}}\n", flush=True)


# ---- Pictures ----

COLOURS = {"floor": "#9a9a9a", "redis": "#d1495b", "kevy": "#00798c"}
OTHERS = ["#edae49", "#66a182", "#2e4057", "#8d6a9f"]
WIDTH, LEFT, TOP, BAR, GAP = 860, 150, 60, 13, 14


DASHES = ["none", "6,4", "2,3"]


def drawing(title, height, parts):
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
                      'font-family="sans-serif" font-size="12">',
                      f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
                      f'<text x="{LEFT}" y="22" font-size="15">{escape(title)}</text>'] + parts + ["</svg>"]) + "\n"


def colour_of(names, name):
    others = [other for other in names if other not in COLOURS]
    return COLOURS.get(name) or OTHERS[others.index(name) % len(OTHERS)]


def legend(names):
    parts, x = [], LEFT
    for name in names:
        parts.append(f'<rect x="{x}" y="32" width="10" height="10" fill="{colour_of(names, name)}"/>'
                     f'<text x="{x + 14}" y="41">{escape(name)}</text>')
        x += 34 + 8 * len(name)
    return parts


def bars(title, names, groups):
    """groups: (label, {name: value}, where a mark goes or None)."""
    most = max([value for _, values, mark in groups for value in list(values.values()) + [mark or 0]] or [1]) or 1
    scale = (WIDTH - LEFT - 70) / most
    parts, y = legend(names), TOP
    for label, values, mark in groups:
        top = y
        parts.append(f'<text x="{LEFT - 8}" y="{y + BAR * len(values) / 2 + 4:.0f}" text-anchor="end">{escape(label)}</text>')
        for name, value in values.items():
            colour = colour_of(names, name)
            parts.append(f'<rect x="{LEFT}" y="{y}" width="{value * scale:.1f}" height="{BAR - 2}" fill="{colour}"/>'
                         f'<text x="{LEFT + value * scale + 4:.1f}" y="{y + BAR - 3}" font-size="10">{value:.2f}</text>')
            y += BAR
        if mark is not None:
            x = LEFT + mark * scale
            parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top - 3}" y2="{y + 1}" stroke="black" stroke-dasharray="3,2"/>')
        y += GAP
    parts.append(f'<text x="{LEFT}" y="{y + 8}" font-size="11">dashed: the target</text>'
                 if any(mark is not None for _, _, mark in groups) else "")
    return drawing(title, y + 24, parts)


def lines(title, names, curves, x_label, y_label):
    """curves: {name: [(dash, [(x, y), ...]), ...]}, both axes logarithmic; dash is an index of DASHES."""
    points = [point for found in curves.values() for _, curve in found for point in curve]
    low_x, high_x = min(x for x, _ in points), max(x for x, _ in points)
    low_y, high_y = min(y for _, y in points), max(y for _, y in points)
    height, bottom = 420, 370

    def place(x, y):
        across = math.log(x / low_x) / (math.log(high_x / low_x) or 1)
        up = math.log(y / low_y) / (math.log(high_y / low_y) or 1)
        return LEFT + across * (WIDTH - LEFT - 60), bottom - up * (bottom - TOP - 10)

    parts = legend(names)
    for x in sorted({x for x, _ in points}):
        at, _ = place(x, low_y)
        parts.append(f'<text x="{at:.1f}" y="{bottom + 18}" text-anchor="middle">{x:,.0f}</text>')
    y = 10 ** math.ceil(math.log10(low_y))
    while y <= high_y:
        _, at = place(low_x, y)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - 60}" y1="{at:.1f}" y2="{at:.1f}" stroke="#ddd"/>'
                     f'<text x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{y:,.0f}</text>')
        y *= 10
    for name, found in curves.items():
        colour = colour_of(names, name)
        for dash, curve in found:
            path = " ".join("%.1f,%.1f" % place(*point) for point in curve)
            parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2" '
                         f'stroke-dasharray="{DASHES[dash]}"/>')
    parts.append(f'<text x="{LEFT}" y="{bottom + 38}" font-size="11">{escape(x_label)}; {escape(y_label)}</text>')
    return drawing(title, height, parts)
