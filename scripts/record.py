#!/usr/bin/env python3
"""Record what a shell script shows on a terminal, as an animated SVG that needs no player.

    python3 -m venv /tmp/pyte && /tmp/pyte/bin/pip install pyte
    PATH=$PWD/bin:$PATH /tmp/pyte/bin/python scripts/record.py docs/demo.svg 100x34 scripts/demo-recording.sh
    PATH=$PWD/bin:$PATH /tmp/pyte/bin/python scripts/record.py docs/watch.svg 100x34 scripts/watch-recording.sh

Pauses longer than MAX_PAUSE are shortened. Where SVG is not animated, the last picture is shown.
"""
import fcntl
import html
import os
import pty
import select
import struct
import sys
import termios
import time

import pyte

MAX_PAUSE = 1.2  # seconds between two pictures
HOLD = 8.0  # seconds that the last picture stays
CELL_W, CELL_H, MARGIN = 8.4, 18, 14
COLORS = {"default": "#c9d1d9", "red": "#ff7b72", "green": "#7ee787", "brown": "#e3b341", "cyan": "#76e3ea", "dim": "#7d8590"}


class Screen(pyte.Screen):
    """A pyte screen that knows dim text, by the colour that it gets."""

    def select_graphic_rendition(self, *attrs, **kw):
        super().select_graphic_rendition(*attrs, **kw)
        if 2 in attrs:
            self.cursor.attrs = self.cursor.attrs._replace(fg="dim")


def record(cols, rows, script):
    """Run the script; return [(seconds, picture)], a picture being a tuple of rows."""
    pid, fd = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm-256color"
        os.environ.pop("NO_COLOR", None)
        os.environ.pop("CI", None)
        time.sleep(0.2)  # until the size is set
        os.execvp("bash", ["bash", script])
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))
    screen = Screen(cols, rows)
    stream = pyte.ByteStream(screen)
    shots, clock, last = [], 0.0, time.monotonic()
    while True:
        ready, _, _ = select.select([fd], [], [], 0.03)
        if ready:
            try:
                data = os.read(fd, 1 << 16)
            except OSError:
                data = b""
            if not data:
                break
            stream.feed(data)
            continue  # until nothing follows at once: half a frame is no picture
        now = time.monotonic()
        picture = tuple(row(screen, y, cols) for y in range(rows))
        if not shots or picture != shots[-1][1]:
            clock += min(now - last, MAX_PAUSE)
            last = now
            shots.append((clock, picture))
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code:
        sys.exit(f"{script} ended with {code}")
    shots.append((clock + 0.1, tuple(row(screen, y, cols) for y in range(rows))))
    return shots


def row(screen, y, cols):
    """One row as a tuple of (column, text, colour, bold) where there is something."""
    spans = []
    for x in range(cols):
        c = screen.buffer[y][x]
        if not c.data.strip():
            continue
        if spans and spans[-1][2:] == (c.fg, c.bold) and spans[-1][0] + len(spans[-1][1]) == x:
            at, text, fg, bold = spans[-1]
            spans[-1] = (at, text + c.data, fg, bold)
        else:
            spans.append((x, c.data, c.fg, c.bold))
    return tuple(spans)


def svg(cols, rows, shots):
    total = shots[-1][0] + HOLD
    width, height = cols * CELL_W + 2 * MARGIN, rows * CELL_H + 2 * MARGIN
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'font-family="ui-monospace, SFMono-Regular, Menlo, DejaVu Sans Mono, monospace" font-size="14">',
        f'<rect width="{width:.0f}" height="{height:.0f}" rx="8" fill="#0d1117"/>',
    ]
    for y in range(rows):
        begin = 0
        for i in range(1, len(shots) + 1):
            if i < len(shots) and shots[i][1][y] == shots[begin][1][y]:
                continue
            if shots[begin][1][y]:
                out.append(line(y, shots[begin][1][y], shots[begin][0] / total, 1 if i == len(shots) else shots[i][0] / total, total))
            begin = i
    return "\n".join(out + ["</svg>", ""])


def line(y, spans, start, end, total):
    """The text of one row, visible between two parts of the whole."""
    text = "".join(
        f'<tspan x="{MARGIN + x * CELL_W:.1f}" textLength="{len(t) * CELL_W:.1f}" fill="{COLORS.get(fg, COLORS["default"])}"'
        + (' font-weight="bold"' if bold else "") + f">{html.escape(t)}</tspan>"
        for x, t, fg, bold in spans
    )
    stays = end == 1
    times, values = ([0, start], [0, 1]) if stays else ([0, start, end], [0, 1, 0])
    if start == 0:
        times, values = times[1:], values[1:]
    animate = "" if len(times) == 1 else (
        f'<animate attributeName="opacity" calcMode="discrete" dur="{total:.1f}s" repeatCount="indefinite" '
        f'values="{";".join(map(str, values))}" keyTimes="{";".join(f"{t:.4f}" for t in times)}"/>'
    )
    return f'<text xml:space="preserve" y="{MARGIN + (y + 0.75) * CELL_H:.1f}" opacity="{int(stays)}">{text}{animate}</text>'


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    size = [int(n) for n in sys.argv[2].split("x")]
    with open(sys.argv[1], "w", encoding="utf-8") as f:
        f.write(svg(*size, record(*size, sys.argv[3])))
