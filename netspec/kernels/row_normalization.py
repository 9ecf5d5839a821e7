"""Normalization of each row by statistics of its own groups, with the pointwise chain behind it: one launch over rows, each way.

A row needs nothing of the others, and a task does everything for it while it is in that core's cache: a number near the mean; about it
the sums of deviations and of their squares, which give the variance and how far that number is off (Chan, Golub and LeVeque, Algorithms
for computing the sample variance, 1983, formula 1.7), so that float32 holds far from zero too; then the result. Of a vector that number
is the mean, of an image the mean of a sixteenth: its square distance from the mean of all is then at most 15 variances, whatever the
image, and an image is read once less. Three numbers a group are kept for backward: the one near the mean, the inverse deviation, and by
how many deviations the first one is off.

Rows that are images, or vectors of several groups, are taken in runs of `wide` elements, several pixels with all their channels, and the
numbers of a group or a channel stand in scratch once for each of its places in a run: a loop over few channels is then long enough to be
vectorised. A vector of one group needs no places.
"""

from __future__ import annotations

from netspec.base.kinds import RowNormalization
from netspec.base.shape import size
from netspec.graph.graph import Node
from netspec.kernels.chain import Chain, add_parts
from netspec.kernels.context import Context, columns_of
from netspec.kernels.finish import label_of
from netspec.kernels.launch import ELEMENT_GRAIN, ROWS_CUT, At, Buffer, Entry
from netspec.kernels.source import Words, indent
from netspec.kernels.templates import Template, template

WIDE = 256  # elements of a run, if a row has so many
SAMPLED = 16  # one in so many runs gives the first mean
FORWARD_SLOTS, BACKWARD_SLOTS = 7, 9  # runs of numbers in scratch

# words: 1 elements of a row, 2 columns, 3 groups, 4 x, 5 statistics, 6 gamma, 7 beta, 8 wide, 9 scratch;
# forward: 10 y, 11 eps; backward: 10 dy, 11 dx, 12 parts of gamma's gradient, 13 of beta's
STANDARD = """\
@njit(**INLINE)
def standard(x, mean, inverse, off):
    return (x - mean) * inverse - off
"""

SETTLE = """\
@njit(**INLINE)
def settle(statistics, group, groups, mean, total, squares, share, eps):
    # from the sums of deviations from about the mean, and of their squares
    off = total * share
    variance = squares * share - off * off
    inverse = F(1) / np.sqrt((F(0) if variance < F(0) else variance) + eps)
    statistics[group], statistics[groups + group], statistics[2 * groups + group] = mean, inverse, off * inverse
"""

FORWARD_ROW = """\
@njit(**INLINE)
def away(x, mean):
    # a function of its own: the sums take their terms in any order, and must not take x and mean apart
    return x - mean


@njit(**ROW)
def total_of(x):
    total = F(0)
    for j in range(x.size):
        total += x[j]
    return total


@njit(**ROW)
def deviations(x, mean):
    total, squares = F(0), F(0)
    for j in range(x.size):
        deviation = away(x[j], mean)
        total += deviation
        squares += deviation * deviation
    return total, squares


@cfunc(KERNEL, **OPTIONS)
def forward(p, task, tasks, worker):
    control, width = words(p[0], 8), p[1]
    share, eps = F(1) / F(width), F(as_double(p[11]))
    gamma, beta = floats(p[6], width), floats(p[7], width)
{setup}    for n in range(share_start(control[ROWS], task, tasks, 1), share_end(control[ROWS], task, tasks, 1)):
        counter, statistics = n * width, floats(p[5] + n * 3 * ITEMSIZE, 3)
        x, y = floats(p[4] + counter * ITEMSIZE, width), floats(p[10] + counter * ITEMSIZE, width)
{row}        mean = total_of(x) * share
        total, squares = deviations(x, mean)
        settle(statistics, 0, 1, mean, total, squares, share, eps)
        inverse, off = statistics[1], statistics[2]
        for j in range(width):
            xhat = standard(x[j], mean, inverse, off)
            v0 = {normalize}
{chain}            y[j] = v{last}
"""

BACKWARD_ROW = """\
@njit(**ROW)
def over_rows(p, control, first, last, gamma_part, beta_part):
    width = p[1]
    share = F(1) / F(width)
    gamma, beta, d_gamma, d_beta = floats(p[6], width), floats(p[7], width), floats(gamma_part, width), floats(beta_part, width)
    clear(d_gamma)
    clear(d_beta)
{setup}    for n in range(first, last):
        counter, statistics = n * width, floats(p[5] + n * 3 * ITEMSIZE, 3)
        place, mean, inverse, off = counter * ITEMSIZE, statistics[0], statistics[1], statistics[2]
        x, dy, dx = floats(p[4] + place, width), floats(p[10] + place, width), floats(p[11] + place, width)
{row}        mean_g, mean_g_xhat = F(0), F(0)
        for j in range(width):
            xhat = standard(x[j], mean, inverse, off)
            v0 = {normalize}
{chain}            d_beta[j] += d0
            d_gamma[j] += d0 * xhat
            mean_g += d0 * gamma[j]
            mean_g_xhat += d0 * gamma[j] * xhat
        mean_g, mean_g_xhat = mean_g * share, mean_g_xhat * share
{finish}

@cfunc(KERNEL, **OPTIONS)
def backward(p, task, tasks, worker):
    control, part = words(p[0], 8), task * p[1] * ITEMSIZE
    over_rows(p, control, share_start(control[ROWS], task, tasks, 1), share_end(control[ROWS], task, tasks, 1), p[12] + part, p[13] + part)
"""

FINISH_ROW = """\
        for j in range(width):
            xhat = standard(x[j], mean, inverse, off)
            dx[j] = {gradient}
"""

PLACES = """\
@njit(**INLINE)
def put(at, group, width, number):
    # at a group's places of the first pixel
    run = floats(at + group * width * ITEMSIZE, width)
    for j in range(width):
        run[j] = number


@njit(**INLINE)
def repeat(at, columns, wide):
    # what stands at the first pixel, at all of them
    first = floats(at, columns)
    for place in range(columns, wide, columns):
        copy(first, floats(at + place * ITEMSIZE, columns))


@njit(**INLINE)
def collect(at, columns, wide):
    # what stands at all pixels, added into the first
    first = floats(at, columns)
    for place in range(columns, wide, columns):
        more = floats(at + place * ITEMSIZE, columns)
        for j in range(columns):
            first[j] += more[j]


@njit(**INLINE)
def repeat_channels(source, columns, wide, at):
    copy(floats(source, columns), floats(at, columns))
    repeat(at, columns, wide)


@njit(**INLINE)
def put_statistics(p, n, mean, inverse, off):
    columns, groups, wide = p[2], p[3], p[8]
    width, statistics = columns // groups, floats(p[5] + n * 3 * groups * ITEMSIZE, 3 * groups)
    for g in range(groups):
        put(mean, g, width, statistics[g])
        put(inverse, g, width, statistics[groups + g])
        put(off, g, width, statistics[2 * groups + g])
    repeat(mean, columns, wide)
    repeat(inverse, columns, wide)
    repeat(off, columns, wide)


@njit(**ROW)
def group_total(at, group, width):
    run, total = floats(at + group * width * ITEMSIZE, width), F(0)
    for j in range(width):
        total += run[j]
    return total
"""

FORWARD_PLACES = """\
@njit(**INLINE)
def sample(p, n, at):
    # one in {every} runs of `wide` elements added up by places; how many elements these are
    size, wide = p[1], p[8]
    totals, seen = floats(at, wide), 0
    clear(totals)
    for start in range(0, size, {every} * wide):
        x = floats(p[4] + (n * size + start) * ITEMSIZE, min(wide, size - start))
        seen += x.size
        for j in range(x.size):
            totals[j] += x[j]
    collect(at, p[2], wide)
    return seen


@njit(**INLINE)
def add_deviations(p, n, mean_at, totals_at, squares_at):
    size, wide = p[1], p[8]
    mean, totals, squares = floats(mean_at, wide), floats(totals_at, wide), floats(squares_at, wide)
    clear(totals)
    clear(squares)
    for start in range(0, size, wide):
        x = floats(p[4] + (n * size + start) * ITEMSIZE, min(wide, size - start))
        for j in range(x.size):
            deviation = x[j] - mean[j]
            totals[j] += deviation
            squares[j] += deviation * deviation
    collect(totals_at, p[2], wide)
    collect(squares_at, p[2], wide)


@njit(**INLINE)
def measure(p, n, share, eps, mean, totals, squares):
    columns, groups, wide = p[2], p[3], p[8]
    width, statistics = columns // groups, floats(p[5] + n * 3 * groups * ITEMSIZE, 3 * groups)
    sampled = F(groups) / F(sample(p, n, totals))
    for g in range(groups):
        statistics[g] = group_total(totals, g, width) * sampled
        put(mean, g, width, statistics[g])
    repeat(mean, columns, wide)
    add_deviations(p, n, mean, totals, squares)
    for g in range(groups):
        settle(statistics, g, groups, statistics[g], group_total(totals, g, width), group_total(squares, g, width), share, eps)


@cfunc(KERNEL, **OPTIONS)
def forward(p, task, tasks, worker):
    control, size, columns, wide = words(p[0], 8), p[1], p[2], p[8]
    share, eps = F(1) / F(size // p[3]), F(as_double(p[11]))
    line = wide * ITEMSIZE
    own = p[9] + worker * {slots} * line
    repeat_channels(p[6], columns, wide, own)
    repeat_channels(p[7], columns, wide, own + line)
    gamma, beta, mean = floats(own, wide), floats(own + line, wide), floats(own + 2 * line, wide)
    inverse, off = floats(own + 3 * line, wide), floats(own + 4 * line, wide)
{setup}    for n in range(share_start(control[ROWS], task, tasks, 1), share_end(control[ROWS], task, tasks, 1)):
        measure(p, n, share, eps, own + 2 * line, own + 5 * line, own + 6 * line)
        put_statistics(p, n, own + 2 * line, own + 3 * line, own + 4 * line)
        for start in range(0, size, wide):
            counter, width = n * size + start, min(wide, size - start)
            x, y = floats(p[4] + counter * ITEMSIZE, width), floats(p[10] + counter * ITEMSIZE, width)
{row}            for j in range(width):
                xhat = standard(x[j], mean[j], inverse[j], off[j])
                v0 = {normalize}
{chain}                y[j] = v{last}
"""

BACKWARD_PLACES = """\
@njit(**INLINE)
def take_sums(gamma, totals, totals_xhat, gamma_part, beta_part):
    # a row's sums into the gradients of gamma and beta; then they become sums over dy * gamma
    for j in range(gamma_part.size):
        beta_part[j] += totals[j]
        gamma_part[j] += totals_xhat[j]
        totals[j] *= gamma[j]
        totals_xhat[j] *= gamma[j]


@cfunc(KERNEL, **OPTIONS)
def backward(p, task, tasks, worker):
    control, size, columns, groups, wide = words(p[0], 8), p[1], p[2], p[3], p[8]
    share = F(1) / F(size // groups)
    gamma_part, beta_part = floats(p[12] + task * columns * ITEMSIZE, columns), floats(p[13] + task * columns * ITEMSIZE, columns)
    clear(gamma_part)
    clear(beta_part)
    line = wide * ITEMSIZE
    own = p[9] + worker * {slots} * line
    repeat_channels(p[6], columns, wide, own)
    repeat_channels(p[7], columns, wide, own + line)
    gamma, beta, mean = floats(own, wide), floats(own + line, wide), floats(own + 2 * line, wide)
    inverse, off = floats(own + 3 * line, wide), floats(own + 4 * line, wide)
    totals, totals_xhat = floats(own + 5 * line, wide), floats(own + 6 * line, wide)
    mean_g, mean_g_xhat = floats(own + 7 * line, wide), floats(own + 8 * line, wide)
{setup}    for n in range(share_start(control[ROWS], task, tasks, 1), share_end(control[ROWS], task, tasks, 1)):
        put_statistics(p, n, own + 2 * line, own + 3 * line, own + 4 * line)
        clear(totals)
        clear(totals_xhat)
        for start in range(0, size, wide):
            counter, width = n * size + start, min(wide, size - start)
            place = counter * ITEMSIZE
            x, dy, dx = floats(p[4] + place, width), floats(p[10] + place, width), floats(p[11] + place, width)
{row}            for j in range(width):
                xhat = standard(x[j], mean[j], inverse[j], off[j])
                v0 = {normalize}
{chain}                totals[j] += d0
                totals_xhat[j] += d0 * xhat
        collect(own + 5 * line, columns, wide)
        collect(own + 6 * line, columns, wide)
        take_sums(gamma, totals, totals_xhat, gamma_part, beta_part)
{finish}"""

FINISH_PLACES = """\
        for g in range(groups):
            put(own + 7 * line, g, columns // groups, group_total(own + 5 * line, g, columns // groups) * share)
            put(own + 8 * line, g, columns // groups, group_total(own + 6 * line, g, columns // groups) * share)
        repeat(own + 7 * line, columns, wide)
        repeat(own + 8 * line, columns, wide)
        for start in range(0, size, wide):
            width, place = min(wide, size - start), (n * size + start) * ITEMSIZE
            x, dy, dx = floats(p[4] + place, width), floats(p[10] + place, width), floats(p[11] + place, width)
            for j in range(width):
                xhat = standard(x[j], mean[j], inverse[j], off[j])
                dx[j] = {gradient}
"""


class _Rows:
    """One layer with the chain behind it: what both directions read, the words that they share, and the tasks, which are those of the
    launch before where that one is cut by rows too."""

    def __init__(self, context: Context, node: Node, chain_nodes: tuple[Node, ...], before: Buffer, slots: int) -> None:
        layer, shape = node.layer, node.input.shape
        assert isinstance(layer, RowNormalization)
        self.context, self.layer, self.chain = context, layer, Chain(context, chain_nodes, node.output)
        self.names, self.label = [node.name, *(other.name for other in chain_nodes)], label_of(node, chain_nodes)
        self.flops = context.batch * sum(other.flops for other in (node, *chain_nodes))
        self.forward = template(type(layer).forward, f"{layer.name}_forward")
        self.backward = template(type(layer).backward, f"{layer.name}_backward")
        self.columns, pixels = columns_of(shape)
        groups, count = layer.groups_of(shape), size(shape)
        self.by_places = groups * pixels > 1
        wide = min(pixels, max(1, WIDE // self.columns)) * self.columns
        writer = context.writer(before)
        alike = writer is not None and writer.cut == ROWS_CUT
        self.tasks = writer.tasks if alike and writer else context.row_tasks(shape, context.batch * count, ELEMENT_GRAIN // 2)
        self.x = context.value(node.input)
        self.statistics = context.shared(f"{node.name}.statistics", context.batch * 3 * groups)
        self.scratch = context.work("places", context.workers * slots * wide if self.by_places else 1)
        trained = [context.parameter(node, key) for key in ("gamma", "beta")]
        self.reads = [self.x, *(at.buffer for at in trained)]
        self.words = Words()
        self.words.extend(
            At(context.control), count, self.columns, groups, At(self.x), At(self.statistics), *trained, wide, At(self.scratch)
        )

    def source(self, parts: list[str], chain: str, templates: list[Template], **fill: str | int) -> str:
        """A kernel's text; `chain` holds the lines from `v0` on."""
        deep = 4 if self.by_places else 3
        row = indent(self.chain.spans("counter", "width"), deep - 1)
        normalize = self.forward.call({"xhat": "xhat", "gamma": "gamma[j]", "beta": "beta[j]"})
        more = {"normalize": normalize, "last": self.chain.last, "chain": indent(chain, deep), "row": row, "every": SAMPLED}
        return self.context.emitted([self.forward, *templates, *self.chain.templates], "\n\n".join(parts).format(**more, **fill))


def forward(context: Context, node: Node, chain_nodes: tuple[Node, ...]) -> None:
    rows = _Rows(context, node, chain_nodes, context.value(node.input), FORWARD_SLOTS)
    y = context.value((chain_nodes or (node,))[-1].output)
    rows.words.extend(At(y), float(rows.layer.eps))
    setup = indent(rows.chain.declare(rows.words), 1)
    parts = [STANDARD, SETTLE, *([PLACES, FORWARD_PLACES] if rows.by_places else [FORWARD_ROW])]
    source = rows.source(parts, rows.chain.forward("counter + j"), [], setup=setup, slots=FORWARD_SLOTS)
    context.launch(
        rows.label, "forward", Entry(source, "forward"), rows.words.values[1:], rows.tasks,
        reads=[*rows.reads, *rows.chain.reads, *rows.chain.others], writes=[y, rows.statistics, rows.scratch], flops=rows.flops,
        layers=rows.names, cut=ROWS_CUT, own=[rows.x, y, *rows.chain.others],
    )  # fmt: skip


def backward(context: Context, node: Node, chain_nodes: tuple[Node, ...]) -> None:
    """dx, where it is wanted, and the gradients of gamma and beta: where there are several tasks, their parts, which a launch that nothing
    waits for adds in order."""
    end = (chain_nodes or (node,))[-1].output
    rows = _Rows(context, node, chain_nodes, context.gradients.terms(end)[0], BACKWARD_SLOTS)
    dy = rows.chain.receive(None)
    dx = context.gradients.new(node.input) if context.wants_gradient(node.input) else None
    keys = ("gamma", "beta")
    trained = context.is_trained(node)
    gradients = [context.gradient(node, key) for key in keys] if trained else []
    parts = [At(context.buffer("parts", rows.tasks * rows.columns)) for _ in keys] if rows.tasks > 1 or not trained else gradients
    rows.words.extend(At(dy), At(dx) if dx else 0, *parts)
    setup = indent(rows.chain.declare(rows.words), 1)
    rows.chain.declare_gradients(rows.words)
    chain = [rows.chain.forward("counter + j"), f"d{rows.chain.last} = {rows.chain.incoming()}", rows.chain.backward()]
    changed = bool(chain_nodes) or rows.chain.incoming() != "dy[j]"
    if dx and changed:
        chain.append("dx[j] = d0")
    slope = "dx[j]" if changed else "dy[j]"
    if rows.by_places:
        body, finish = [STANDARD, PLACES, BACKWARD_PLACES], FINISH_PLACES
        at_place = {name: f"{name}[j]" for name in ("inverse", "mean_g", "mean_g_xhat")}
    else:
        body, finish = [STANDARD, BACKWARD_ROW], FINISH_ROW
        at_place = {name: name for name in ("inverse", "mean_g", "mean_g_xhat")}
    gradient = rows.backward.call({**at_place, "dy": slope, "xhat": "xhat", "gamma": "gamma[j]"})
    source = rows.source(
        body, "\n".join(chain), [rows.backward], setup=setup, slots=BACKWARD_SLOTS,
        finish=finish.format(gradient=gradient) if dx else "",
    )  # fmt: skip
    context.launch(
        f"{rows.label} gradient", "backward", Entry(source, "backward"), rows.words.values[1:], rows.tasks,
        reads=[*rows.reads, *rows.chain.reads_backward(True), dy, rows.statistics],
        writes=[*([dx] if dx else []), *(part.buffer for part in parts), rows.scratch, *rows.chain.writes],
        flops=2 * rows.flops, layers=rows.names, cut=ROWS_CUT,
        own=[rows.x, dy, *([dx] if dx else []), *rows.chain.others, *rows.chain.spread],
    )  # fmt: skip
    for key, part, target in zip(keys, parts, gradients, strict=False):  # no gradients of a frozen layer
        if rows.tasks > 1:
            add_parts(context, node, key, part, rows.tasks, rows.columns, target)
