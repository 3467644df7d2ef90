"""
Custom operators in C++
=======================

How do you write a loop in C++ and call it from PyTorch, and which mistakes does
C++ not report?

In some loops, each step needs the result of the step before. In Python, such a
loop calls PyTorch in each step. With many steps, C++ is much faster. But a
tensor may lie in memory in a different order from the one the loop expects.
Then the result is wrong, and there is no error.

After this lesson you can

- write a short loop in C++, compile it, and call it as an operator
- give it a shape and a gradient from Python, and check them
- prevent wrong numbers for a transposed input
"""

# %%
# Setup
# -----
# A *compiler* turns C++ into machine code. How to install one is in
# :doc:`/install`. On Windows, start Python from the "x64 Native Tools Command
# Prompt", or the compiler is not found. We ran this page on Linux only.

import os
import shutil
import sys
import tempfile
import time

import matplotlib.pyplot as plt
import ninja
import torch
from torch.autograd import gradcheck
from torch.library import opcheck, register_autograd, register_fake
from torch.utils.cpp_extension import get_cxx_compiler, load_inline

from handbook import datasets, plots

torch.manual_seed(0)

# %%
# ``get_cxx_compiler`` names the compiler. Without one, the script ends here.
# PyTorch also needs ``ninja``, a program that runs compilers, so we add its
# folder to ``PATH``, where programs are looked for. The compiled files go into
# a temporary folder.

if shutil.which(get_cxx_compiler()) is None:
    sys.exit("No C++ compiler found. The section Setup says how to get one.")
os.environ["PATH"] += os.pathsep + ninja.BIN_DIR
folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)

# %%
# Each step needs the one before
# ------------------------------
# We want running totals of each row. Before a number is added, the total so far
# is multiplied by a factor. With the factor 10, the row 1, 2, 3 becomes 1, 12,
# 123. The velocity of an optimizer (:doc:`/lessons/networks/04_optimizers`) is
# such a total. In Python, we go through the columns, which are the rows of
# ``x.mT``:


def running_python(x, factor):
    total = torch.zeros(len(x), dtype=x.dtype)
    columns = []
    for column in x.mT:
        total = total * factor + column
        columns.append(total)
    return torch.stack(columns, dim=1)


x = torch.tensor([[1, 2, 3], [4, 5, 6]], dtype=torch.float64)
print(running_python(x, 10))

# %%
# (A matrix product gives the same, because each step just multiplies and adds.
# A loop also allows a ``max`` or an ``if``.)

# %%
# .. check::

assert running_python(x, 10)[0].tolist() == [1, 12, 123], "1, 12, 123"
assert torch.equal(
    x @ torch.tensor([[1, 10, 100], [0, 1, 10], [0, 0, 1]], dtype=x.dtype),
    running_python(x, 10),
), "the product with the matrix gives the same"

# %%
# The loop in C++
# ---------------
# Each ``#include`` in our string of C++ imports a *header*, and the last line
# lets us write ``Tensor`` for a longer name.

headers = """
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
using torch::stable::Tensor;
"""

# %%
# The numbers of ``x`` lie in memory row by row, so the loop goes through all of
# them, and begins a new total with each row.

draft_code = """
Tensor running(Tensor x, double factor) {
    Tensor y = torch::stable::new_empty(x, x.sizes());
    const double* source = x.const_data_ptr<double>();
    double* target = y.mutable_data_ptr<double>();
    int64_t size = x.numel(), width = x.size(1);
    double total = 0;
    for (int64_t i = 0; i < size; i++) {
        if (i % width == 0) total = 0;
        total = total * factor + source[i];
        target[i] = total;
    }
    return y;
}
"""

# %%
# - Braces hold what Python indents, and a semicolon ends each statement.
# - The type stands before the name. ``double`` is what Python calls ``float``,
#   and ``int64_t`` is a whole number. ``running`` returns a ``Tensor``.
# - ``new_empty`` makes a :term:`contiguous` tensor with the shape and the dtype
#   of ``x``. ``::`` stands where Python has a dot after the name of a module.
# - ``double*`` is a *pointer*: the place in memory where numbers begin.
#   ``const_data_ptr`` returns one for reading, and ``mutable_data_ptr`` one for
#   writing. The type of the numbers stands in ``< >``. ``source[i]`` is the
#   number that lies ``i`` places further on. C++ does not check that this place
#   still belongs to ``x``.
# - The line with ``for`` means ``for i in range(size)``. We get ``size`` and
#   ``width``, the number of columns, before it, since each calls PyTorch.
#
# Then we register the function in a namespace of ``torch.ops``, here ``draft``.
# ``m`` stands for it inside the braces. ``def`` gives the name of the operator
# and its *schema*: the types of its arguments and of its result. (``float`` is
# Python's word here.) ``impl`` says which function to call for tensors on the
# CPU, and ``TORCH_BOX`` makes it callable for PyTorch. (``&running`` is the
# function itself, not a call.)

registration = """
STABLE_TORCH_LIBRARY(draft, m) {
    m.def("running(Tensor x, float factor) -> Tensor");
}
STABLE_TORCH_LIBRARY_IMPL(draft, CPU, m) {
    m.impl("running", TORCH_BOX(&running));
}
"""

# %%
# :func:`~torch.utils.cpp_extension.load_inline` joins the strings, compiles
# them and loads the result, which takes some seconds. ``-O2`` asks the compiler
# for fast code. The last two options tell PyTorch to add no header of its own,
# and to expect no Python module.

options = {
    "build_directory": folder.name,
    "extra_cflags": ["-O2"],
    "no_implicit_headers": True,
    "is_python_module": False,
}
load_inline(
    name="draft",
    cpp_sources=[headers, draft_code, registration],
    **options,
)
draft = torch.ops.draft.running
print(draft(x, 10))

# %%
# The totals are right. ``const_data_ptr<double>`` refuses another dtype. For
# ``float32``, write ``float`` for ``double`` in the two lines with pointers.

refused = ""
try:
    draft(x.float(), 10)
except RuntimeError as error:
    refused = str(error)
print("refused:", "but found Float" in refused)

# %%
# .. check::

assert torch.equal(draft(x, 10), running_python(x, 10)), "the totals are right"
assert "but found Float" in refused, "another dtype is refused"

# %%
# What goes wrong
# ---------------
# Now we want the totals down the columns, so we transpose ``x``. The Python
# loop shows what is right:

transposed = x.mT
print(running_python(transposed, 10))
print(draft(transposed, 10))

# %%
# The draft is wrong, but the shape is right, and there was no error. As
# :doc:`/lessons/tensors/06_views` explains, ``mT`` moves no numbers, and only
# exchanges the strides. Our loop never looks at strides.
#
# .. alt:: Two grids. x has the rows 1 2 3 and 4 5 6, and x.mT has 1 4, 2 5 and
#    3 6. Below both, the memory reads 1 2 3 4 5 6.

figure = plots.memory_layout(x, transposed, names=["x", "x.mT"], ncols=2)

# %%
# Other inputs that are not contiguous can give wrong numbers, too (exercise 1).
# For an expanded tensor, which has fewer numbers in memory, the loop might even
# read beyond its end. One line cures both: ``contiguous`` returns a copy in row
# order, and a contiguous tensor as it is. With three dimensions, ``size(1)`` is
# not the length of a row, so another line allows only two: ``STD_TORCH_CHECK``
# raises an error if its condition is false.

cure = """{
    STD_TORCH_CHECK(x.dim() == 2, "x needs two dimensions");
    x = torch::stable::contiguous(x);"""
code = draft_code.replace("{", cure, 1)  # in the place of the first brace

# %%
# A second library that registers ``draft`` crashes Python. So after a change,
# start Python again, or take another namespace, here ``lesson``.

load_inline(
    name="lesson",
    cpp_sources=[headers, code, registration.replace("draft", "lesson")],
    **options,
)
running = torch.ops.lesson.running
print(running(transposed, 10))
print(running(x[:1].expand(2, 3), 10))

# %%
# .. check::

assert draft(transposed, 10)[:, 1].tolist() == [12, 34, 56], (
    "what the draft says"
)
assert running(transposed, 10)[:, 1].tolist() == [14, 25, 36], (
    "contiguous cures it"
)
assert running(x[:1].expand(2, 3), 10)[1].tolist() == [1, 12, 123], (
    "expanded, too"
)

# %%
# Shape and gradient in Python
# ----------------------------
# The rest is as in :doc:`/lessons/advanced/18_custom_operator`. But here,
# :func:`~torch.library.register_fake` and
# :func:`~torch.library.register_autograd` are functions, and take the name of
# the operator.


@register_fake("draft::running")
@register_fake("lesson::running")
def _(x, factor):
    return torch.empty(x.shape, dtype=x.dtype, device=x.device)


# %%
# For the gradient, look at three numbers with the factor ½. The first number is
# in all three totals, with the weights 1, ½ and ¼. So its gradient is that of
# the first total, plus ½ of the second, plus ¼ of the third. This is a running
# total from the right, so we flip the gradients, call the operator, and flip
# the result.


def keep(ctx, inputs, output):
    ctx.factor = inputs[1]


def backward(ctx, grad_output):
    from_right = running(grad_output.flip(1), ctx.factor)
    return from_right.flip(1), None


register_autograd("draft::running", backward, setup_context=keep)
register_autograd("lesson::running", backward, setup_context=keep)
row = torch.tensor([[1, 2, 3]], dtype=torch.float64, requires_grad=True)
running(row, 0.5).sum().backward()
print(row.grad)

# %%
# Now the checks, with a transposed input. We also compare with the Python loop.

points = torch.randn(2, 3, dtype=torch.float64, requires_grad=True).mT
expected = running_python(points, 0.5)
draft_report = opcheck(draft, (points, 0.5))
report = opcheck(running, (points, 0.5))
print(set(draft_report.values()), torch.allclose(draft(points, 0.5), expected))
print(set(report.values()), torch.allclose(running(points, 0.5), expected))

# %%
# ``opcheck`` succeeds for the draft, too, since its shape is as promised. The
# comparison finds the mistake. Then comes ``gradcheck``, with random weights:

weights = torch.randn(3, 2, dtype=torch.float64)


def weighted(x):
    return (running(x, 0.5) * weights).sum()


print("gradcheck:", gradcheck(weighted, points))

# %%
# .. check::

assert row.grad.tolist() == [[1.75, 1.5, 1]], "1 + ½ + ¼, 1 + ½, and 1"
assert set(draft_report.values()) == {"SUCCESS"}, "opcheck passes the draft"
assert set(report.values()) == {"SUCCESS"}, "opcheck passes the second version"
assert not torch.allclose(draft(points, 0.5), expected), "the draft is wrong"
assert torch.allclose(running(points, 0.5), expected), "the second one is right"
assert gradcheck(weighted, points), "gradcheck with random weights"

# %%
# On real data
# ------------
# With the factor 0.8, every pixel leaves a fading trail to its right. A
# transposed digit, transposed back afterwards, gets its trail downwards.

train, test = datasets.mnist()
digits = train.x[:100, 0].double()  # (100, 28, 28)
digit = digits[0]
pictures = {
    "digit": digit,
    "to the right": running(digit, 0.8),
    "down": running(digit.mT, 0.8).mT,
    "down, draft": draft(digit.mT, 0.8).mT,
}

# %%
# .. alt:: Four pictures of a handwritten 5: the digit, its trail to the right,
#    its trail downwards, and the draft, where it is reflected at its diagonal
#    and lies on its side.

# %%
# .. drawing::

figure, axes = plt.subplots(1, 4, figsize=(6.4, 2), layout="constrained")
for axis, name in zip(axes, pictures, strict=True):
    axis.imshow(pictures[name].numpy(), cmap="gray_r")
    axis.set_title(name, fontsize=10)
    axis.set_axis_off()

# %%
# In the draft's picture, the digit lies on its side. Deep inside a network,
# this would be hard to notice.
#
# Is C++ faster? We compare the shortest of 20 times, first with all rows of 100
# digits, and then with each digit as one row of 784 pixels.

speedups = {}
for width in [28, 784]:
    rows = digits.reshape(-1, width)
    python_times = []
    cpp_times = []
    while len(cpp_times) < 20:  # in turn, so both meet the same disturbances
        start = time.perf_counter()
        running_python(rows, 0.5)
        middle = time.perf_counter()
        running(rows, 0.5)
        cpp_times.append(time.perf_counter() - middle)
        python_times.append(middle - start)
    speedups[width] = min(python_times) / min(cpp_times)
    print(width, "at least five times as fast:", speedups[width] >= 5)

# %%
# With rows of 28, Python takes 28 steps only, each for 2,800 numbers at once,
# so there is less to gain.

# %%
# .. check::

assert torch.allclose(pictures["down"], running_python(digit.mT, 0.8).mT), (
    "the trail goes down"
)
assert torch.equal(pictures["down, draft"], running(digit, 0.8).mT), (
    "the draft's digit lies on its side"
)
assert speedups[784] >= 5, "at least five times as fast with rows of 784"
assert speedups[784] >= 2 * speedups[28], "less is gained with rows of 28"

# %%
# Recipe
# ------
# Here is an operator with two tensors, :math:`a \cdot b + c`. It refuses
# different shapes. Otherwise its loop might read beyond the end of ``b``.

import os
import tempfile

import ninja
import torch
from torch.library import opcheck, register_autograd, register_fake
from torch.utils.cpp_extension import load_inline

muladd_code = """
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
using torch::stable::Tensor;
"""

# %%

muladd_code += """
Tensor muladd(Tensor a, Tensor b, double c) {
    STD_TORCH_CHECK(a.sizes() == b.sizes(), "a and b differ in shape");
    a = torch::stable::contiguous(a);
    b = torch::stable::contiguous(b);
    Tensor y = torch::stable::new_empty(a, a.sizes());
    const double* from_a = a.const_data_ptr<double>();
    const double* from_b = b.const_data_ptr<double>();
    double* target = y.mutable_data_ptr<double>();
    int64_t size = a.numel();
    for (int64_t i = 0; i < size; i++) target[i] = from_a[i] * from_b[i] + c;
    return y;
}
"""

# %%
# The registration, and the compilation:

muladd_code += """
STABLE_TORCH_LIBRARY(mine, m) {
    m.def("muladd(Tensor a, Tensor b, float c) -> Tensor");
}
STABLE_TORCH_LIBRARY_IMPL(mine, CPU, m) {
    m.impl("muladd", TORCH_BOX(&muladd));
}
"""

# %%

os.environ["PATH"] += os.pathsep + ninja.BIN_DIR
build = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
load_inline(
    name="mine",
    cpp_sources=muladd_code,
    build_directory=build.name,
    extra_cflags=["-O2"],
    no_implicit_headers=True,
    is_python_module=False,
)
build.cleanup()

# %%
# Shape and gradient:


@register_fake("mine::muladd")
def _(a, b, c):
    return torch.empty(a.shape, dtype=a.dtype, device=a.device)


def keep(ctx, inputs, output):
    ctx.save_for_backward(inputs[0], inputs[1])


def backward(ctx, grad_output):
    a, b = ctx.saved_tensors
    return grad_output * b, grad_output * a, None


register_autograd("mine::muladd", backward, setup_context=keep)

# %%
# And the checks, with both inputs transposed:

muladd = torch.ops.mine.muladd
a = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
b = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
print(set(opcheck(muladd, (a.mT, b.mT, 10.0)).values()))
result = muladd(a.mT, b.mT, 10)
print(torch.allclose(result, (a * b + 10).mT))
mix = torch.randn(2, 3, dtype=torch.float64)
(result * mix).sum().backward()
print(torch.allclose(a.grad.mT, b.mT * mix))
print(torch.allclose(b.grad.mT, a.mT * mix))

# %%
# .. check::

assert torch.allclose(result, (a * b + 10).mT), "a · b + c"
assert torch.allclose(a.grad.mT, b.mT * mix), "the gradient of a"
assert torch.allclose(b.grad.mT, a.mT * mix), "the gradient of b"

# %%
# What you learned
# ----------------
# - ``load_inline`` compiles C++, and ``STABLE_TORCH_LIBRARY`` makes it an
#   operator in ``torch.ops``.
# - Shape and gradient are added in Python.
# - A pointer says where numbers begin, but not their shape or strides. Call
#   ``contiguous`` first, and check shapes with ``STD_TORCH_CHECK``.
# - C++, compiled with ``-O2``, saves time if there are many small steps.
# - ``opcheck`` does not notice wrong numbers. Compare with a known result, for
#   a transposed input, too.
#
# Exercises
# ---------
# 1. **Predict.** ``x[:, 1:]`` leaves out the first column of ``x``. What does
#    ``draft`` make of it, with the factor 10? What should it be? Check with
#    ``running``.
# 2. **Change.** Another cure is to refuse. Put ``STD_TORCH_CHECK`` with
#    ``x.is_contiguous()`` in the place of ``contiguous``, in another
#    namespace. What happens with ``transposed``? When would you prefer this?
# 3. **Extend.** Write an operator ``longest(Tensor x) -> Tensor`` in C++. It
#    returns, for each row, the length of the longest run of neighboring pixels
#    above 0.5. Compare it with a Python loop on the rows of the digits. It
#    needs no gradient.

# %%
# .. answer:: 1
#
#    The view begins at the 2, and has four numbers. The draft reads the four
#    that lie there in memory, 2, 3, 4 and 5, and makes 2, 23 and 4, 45 of them.
#    It should be 2, 23 and 5, 56.

print(draft(x[:, 1:], 10))
print(running(x[:, 1:], 10))

# %%
# .. check::

assert draft(x[:, 1:], 10).tolist() == [[2, 23], [4, 45]], "2, 3, 4 and 5"
assert running(x[:, 1:], 10).tolist() == [[2, 23], [5, 56]], "as it should be"

# %%
# .. answer:: 2
#
#    There is an error, and the caller has to write
#    ``contiguous()``. This is better where a hidden copy would be a surprise,
#    for instance because the tensor fills half of the memory.

copy_line = "x = torch::stable::contiguous(x);"
check_line = 'STD_TORCH_CHECK(x.is_contiguous(), "x must be contiguous");'
strict_code = code.replace(copy_line, check_line)
load_inline(
    name="strict",
    cpp_sources=[headers, strict_code, registration.replace("draft", "strict")],
    **options,
)
strict = torch.ops.strict.running

# %%

refused = ""
try:
    strict(transposed, 10)
except RuntimeError as error:
    refused = str(error)
print(refused[-20:])
print(strict(transposed.contiguous(), 10))

# %%
# .. check::

assert refused.endswith("x must be contiguous"), "there is an error"
assert torch.equal(
    strict(transposed.contiguous(), 10), running(transposed, 10)
), "right with contiguous()"

# %%
# .. answer:: 3
#
#    The result has one number for each row, so its size is
#    ``{x.size(0)}``, a list in braces. ``i / width`` is the number of the
#    row, because C++ drops the fraction when it divides whole numbers.

longest_code = """
Tensor longest(Tensor x) {
    STD_TORCH_CHECK(x.dim() == 2, "x needs two dimensions");
    x = torch::stable::contiguous(x);
    Tensor y = torch::stable::new_zeros(x, {x.size(0)});
    const double* source = x.const_data_ptr<double>();
    double* best = y.mutable_data_ptr<double>();
    int64_t size = x.numel(), width = x.size(1);
    double run = 0;
    for (int64_t i = 0; i < size; i++) {
        if (i % width == 0) run = 0;
        if (source[i] > 0.5) run = run + 1; else run = 0;
        if (run > best[i / width]) best[i / width] = run;
    }
    return y;
}
"""

# %%

longest_registration = """
STABLE_TORCH_LIBRARY(stroke, m) {
    m.def("longest(Tensor x) -> Tensor");
}
STABLE_TORCH_LIBRARY_IMPL(stroke, CPU, m) {
    m.impl("longest", TORCH_BOX(&longest));
}
"""
load_inline(
    name="stroke",
    cpp_sources=[headers, longest_code, longest_registration],
    **options,
)
longest = torch.ops.stroke.longest

# %%


def longest_python(x):
    lengths = []
    for values in x.tolist():
        best = 0
        run = 0
        for value in values:
            run = run + 1
            if value <= 0.5:
                run = 0
            best = max(best, run)
        lengths.append(best)
    return torch.tensor(lengths, dtype=x.dtype)


# %%

pixels = digits.reshape(-1, 28)
print(longest(torch.tensor([[0, 1, 1, 0, 1]], dtype=torch.float64)))
print(torch.equal(longest(pixels), longest_python(pixels)))
print(torch.equal(longest(digit.mT), longest_python(digit.mT)))
folder.cleanup()

# %%
# .. check::

assert torch.equal(longest(pixels), longest_python(pixels)), "on all rows"
assert torch.equal(longest(digit.mT), longest_python(digit.mT)), "transposed"

# %%
# .. earlier::
#
#    Many tutorials include ``torch/extension.h``, and register with
#    ``TORCH_LIBRARY`` or through ``functions=[...]``. That still works. Our
#    headers need PyTorch 2.10 or later, and belong to the `stable ABI
#    <https://docs.pytorch.org/docs/stable/notes/libtorch_stable_abi.html>`__:
#    it is meant to let a compiled operator run with later versions of PyTorch,
#    too. With ``functions=[...]`` you get a Python function and no operator, so
#    ``torch.compile`` breaks the graph there.
