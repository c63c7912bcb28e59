"""CSV and its kin, line by line: one bad line costs one row, whatever it holds."""

import csv
from collections import deque

LINE = 1_000_000  # characters of a physical line; a longer one fails its row and is passed over without being kept
LINES = 200  # of one record: more is a quotation mark that nobody closed


class Records:
    """Iterate over ``(line number, cells, problem)``; cells is None where there is a problem (a code of REASONS)."""

    def __init__(self, text, delimiter):
        self.text, self.delimiter = text, delimiter
        self.back, self.taken, self.line = deque(), [], 0

    def __iter__(self):
        while True:
            self.taken, start = [], self.line + 1
            try:
                cells = next(csv.reader(self._lines(), delimiter=self.delimiter, strict=True))
            except StopIteration:
                return
            except (csv.Error, _Overflow) as error:
                cells = self._mend(error)
            if isinstance(cells, str):
                yield start, None, cells
            elif any(cell.strip() for cell in cells) or len(cells) > 1:
                yield start, [cell.replace("\x00", "") for cell in cells], ""

    def _lines(self):
        while line := (self.back.popleft() if self.back else self.text.readline(LINE)):
            self.taken.append(line)
            self.line += 1
            if len(line) >= LINE and not line.endswith(("\n", "\r")):
                self._pass_over()
                raise _Overflow("too_long")
            if len(self.taken) > LINES:
                raise _Overflow("unbalanced")
            yield line

    def _pass_over(self):
        while (rest := self.text.readline(LINE)) and not rest.endswith(("\n", "\r")):
            pass
        self.taken[-1] = ""

    def _mend(self, error):
        """Cells where a stray quotation mark can be read leniently; else the code of what is wrong."""
        words, lines = str(error), self.taken
        if "expected after" in words:
            try:
                return next(csv.reader(lines, delimiter=self.delimiter))
            except (csv.Error, StopIteration):
                return "unreadable"
        if words == "too_long" and not lines[-1]:
            lines.pop()
            self._give_back(lines)
            return "too_long"
        self._give_back(lines)
        if "field larger" in words:
            return "too_long" if len(lines) == 1 else "unbalanced"
        return "unbalanced"

    def _give_back(self, lines):
        """The lines after the first stand for themselves."""
        self.back.extendleft(reversed(lines[1:]))
        self.line -= len(lines[1:])


class _Overflow(Exception):
    pass
