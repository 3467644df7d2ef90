"""
Attention: query, key, value
============================

How does a network fetch what it needs when it does not know where to look?

A word may refer to the word just before it, or to one fifty words earlier.
Attention looks at all positions and takes most from those that fit best. It is
the core of the Transformer, and so of today's language models.

After this lesson you can

- compute attention in a loop, as matrix products and with PyTorch's function
- say why the scores are divided by the square root of the number of features
- hide positions with a mask, and know where ``True`` keeps and where it drops
"""

# %%
# Setup
# -----

import torch
from torch import nn
from torch.nn.functional import one_hot, scaled_dot_product_attention

from handbook import datasets, plots

torch.manual_seed(0)

# %%
# A lookup that averages
# ----------------------
# A Python dict returns the value that is stored under exactly the key that you
# ask for. :term:`Attention <attention>` also has keys and values, and what you
# search with is called the *query*. But it compares the query with *every* key,
# and returns a weighted mean of all values. The better a key fits, the more its
# value counts.
#
# Here are three pairs: the keys a, b, a with the values 10, 60, 20. Keys and
# queries are vectors. We take a = (10, 0) and b = (0, 10).
#
# - How well a key fits is its *score*, the dot product of query and key.
# - The softmax of :doc:`/lessons/learning/06_softmax_regression` turns the
#   scores into weights. They are positive, and their sum is 1.
# - The result is the sum of weight times value.
#
# We ask with a, with b, and with (0, 0), which fits all keys equally well. What
# do you expect for each?

keys = torch.tensor([[10.0, 0.0], [0.0, 10.0], [10.0, 0.0]])  # a, b, a
values = torch.tensor([[10.0], [60.0], [20.0]])
queries = torch.tensor([[10.0, 0.0], [0.0, 10.0], [0.0, 0.0]])  # a, b, 0
loop_output = []
for query in queries:
    scores = torch.stack([query.dot(key) for key in keys])
    weights = torch.softmax(scores, dim=0)
    total = torch.zeros(1)
    for weight, value in zip(weights, values, strict=True):
        total = total + weight * value
    loop_output.append(total)
    print(f"weights {weights.round(decimals=2)}, result {total.item():.0f}")

# %%
# The query a fits the first and the third key, so the result is the mean of 10
# and 20, which is 15. The query (0, 0) fits all keys equally and gets the mean
# of all values, 30.

# %%
# .. check::

assert abs(loop_output[0].item() - 15) < 1e-5, "a: the mean of 10 and 20"
assert abs(loop_output[1].item() - 60) < 1e-5, "b: 60"
assert abs(loop_output[2].item() - 30) < 1e-5, "0: the mean of all"

# %%
# As matrix products
# ------------------
# The dot products of all queries with all keys are one
# matrix product, and the weighted sums are another one. With a query in each
# row of Q, a key in each row of K and a value in each row of V, attention is
#
# .. math:: \text{softmax}(Q K^T) \, V
#
# The softmax is taken over each row, because a row holds the scores of one
# query.

scores = queries @ keys.T  # (3, 3): a row for each query
weights = torch.softmax(scores, dim=1)  # each row sums to 1
output = weights @ values  # (3, 1)
difference = (output - torch.stack(loop_output)).abs().max().item()
print("largest difference:", difference)

# %%
# If you change the order of the pairs, the result stays the same. Attention
# does not know in which row a pair stands.

# %%
# .. check::

assert difference <= 1e-5, "the same output"
assert scaled_dot_product_attention(
    queries, keys[[2, 0, 1]], values[[2, 0, 1]]
).allclose(output), "another order, the same result"
assert weights.sum(dim=1).allclose(torch.ones(3)), "each row sums to 1"

# %%
# The ordinary way
# ----------------
# PyTorch's :func:`torch.nn.functional.scaled_dot_product_attention` computes
# all this in one call. In addition, it divides the scores by the square root of
# d, the number of features of a key (here 2):
#
# .. math:: \text{softmax}\left(\frac{Q K^T}{\sqrt{d}}\right) V
#
# We compare it with our own lines.

print(scaled_dot_product_attention(queries, keys, values).flatten())

query = torch.randn(4, 6, 16)  # 4 sequences, 6 queries, 16 features
key = torch.randn(4, 7, 16)
value = torch.randn(4, 7, 5)
by_hand = torch.softmax(query @ key.mT / 16**0.5, dim=-1) @ value
packaged = scaled_dot_product_attention(query, key, value)
print(packaged.shape)  # a row for each query
print(f"largest difference: {(by_hand - packaged).abs().max():.0e}")

# %%
# .. check::

assert scaled_dot_product_attention(queries, keys, values).allclose(
    torch.tensor([[15.0], [60.0], [30.0]])
), "15, 60, 30"
assert packaged.shape == (4, 6, 5), "a row for each query"
assert (by_hand - packaged).abs().max() < 1e-6, "to within a millionth"

# %%
# Why divide by the square root of d?
# -----------------------------------
# A score is a sum of d products. If the numbers are random, with mean 0, the
# size of such a sum grows like √d, as in
# :doc:`/lessons/architectures/02_initialization`.
#
# Large scores hinder learning. The slope of a weight w, if its own score grows,
# is w · (1 − w), as with the :term:`sigmoid`. If one weight is nearly 1 and the
# others are nearly 0, all these slopes are nearly 0, and hardly any gradient
# reaches the scores. We measure this for 1,000 random queries with 10 keys
# each. Of the ten slopes of a query we take the largest, and print the
# ``median`` (the middle one) of all queries.


def typical_slope(scores):
    weights = torch.softmax(scores, dim=-1)
    largest = (weights * (1 - weights)).amax(dim=-1)
    return largest.median().item()


undivided = []
divided = []
for features in [4, 16, 64, 256, 1024]:
    query = torch.randn(1000, 1, features)
    key = torch.randn(1000, 10, features)
    scores = query @ key.mT  # (1000, 1, 10)
    undivided.append(typical_slope(scores))
    divided.append(typical_slope(scores / features**0.5))
    print(f"{features} features: std of the scores {scores.std():.1f}")
    print(f"  slope {undivided[-1]:.6f}, divided {divided[-1]:.2f}")

# %%
# The scores grow like √d: about 2, 4, 8, 16, 32. With 1,024 features, hardly
# any slope is left without the division. With division it is about 0.2 for
# every d.

# %%
# .. check::

assert abs(scores.std() - 32) < 1, "the root of 1,024"
assert undivided[4] < 1e-4, "undivided, hardly any slope"
assert min(divided) > 0.17, "divided, about 0.2"
assert max(divided) < 0.23, "for each d"

# %%
# On real data
# ------------
# Attention can read digits without any training. All training images vote,
# each with its weight. The queries are the 2,000 test images, and the keys are
# 5,000 training images. The value of a key is its label, as a row with a 1 for
# its class and nine zeros (*one-hot*). So an output row says how much weight
# went to each digit.


def standardize(images):  # each image: mean 0, standard deviation 1
    pixels = images.flatten(1)  # (N, 784)
    mean = pixels.mean(dim=1, keepdim=True)
    return (pixels - mean) / pixels.std(dim=1, keepdim=True)


train_set, test_set = datasets.mnist()
query = standardize(test_set.x)  # (2000, 784)
key = standardize(train_set.x[:5000])  # (5000, 784)
value = one_hot(train_set.y[:5000], num_classes=10).float()  # (5000, 10)
shares = scaled_dot_product_attention(query, key, value)  # (2000, 10)
right = shares.argmax(dim=1) == test_set.y
print(f"right: {right.float().mean():.1%}")

# %%
# 94.5% are right. Guessing reaches 10%. (The single best key alone does about
# as well. But picking the best has no slope. Weights have one, so attention can
# be trained.) The figure shows the first query and its five best keys, with
# their weights.
#
# .. alt:: Six digits in a row. The first is the query, the other five are the
#    keys with the largest weights. They look alike and show the same digit.

# %%
# .. drawing::

scores = query[0] @ key.T / 784**0.5
weights, places = torch.softmax(scores, dim=0).topk(5)
pictures = torch.cat([test_set.x[:1], train_set.x[places]])
titles = ["query"] + [f"{weight:.3f}" for weight in weights.tolist()]
plots.image_grid(pictures, titles)

# %%
# .. check::

assert abs(right.float().mean() - 0.945) < 0.005, "94.5% are right"
assert abs(test_set.y.bincount().max() / 2000 - 0.1) < 0.005, "guessing: 10%"
assert (
    abs(
        (train_set.y[(query @ key.T).argmax(dim=1)] == test_set.y).sum()
        - right.sum()
    )
    < 20
), "the best key alone does about as well"

# %%
# Masks
# -----
# When a program writes a text word by word, a word may look only at itself and
# at earlier words. This needs a *causal* mask. We take the three pairs again,
# and three queries (0, 0). The first may see one pair, the second two, and the
# third all three. What are the results?
#
# A :term:`mask` is a tensor of ``True`` and ``False``. :func:`torch.tril` keeps
# the lower left triangle of a matrix, and ``bool()`` makes ``True`` of 1 and
# ``False`` of 0. ``masked_fill`` writes −∞ (``-torch.inf``) into the other
# scores. The softmax turns −∞ into the weight 0, because e to the power of −∞
# is 0. (``~`` swaps ``True`` and ``False``.)

zero_queries = torch.zeros(3, 2)
keep = torch.tril(torch.ones(3, 3)).bool()
scores = zero_queries @ keys.T / 2**0.5
scores = scores.masked_fill(~keep, -torch.inf)
causal_weights = torch.softmax(scores, dim=1)
print("scores: ", scores.tolist())
print("by hand:", (causal_weights @ values).flatten())

masked = scaled_dot_product_attention(
    zero_queries, keys, values, attn_mask=keep
)
causal = scaled_dot_product_attention(
    zero_queries, keys, values, is_causal=True
)
print("attn_mask:", masked.flatten())
print("is_causal:", causal.flatten())

# %%
# The second result, 35, is the mean of 10 and 60. With ``is_causal=True`` the
# function makes this mask itself. Use it only with as many queries as keys: a
# single query would see only the first key.

# %%
# .. check::

assert causal.flatten().allclose(torch.tensor([10.0, 35, 30])), "10, 35, 30"
assert (causal_weights @ values).allclose(causal), "by hand the same"
assert masked.allclose(causal), "with the mask the same"
assert scaled_dot_product_attention(
    zero_queries[:1], keys, values, is_causal=True
).allclose(values[:1]), "a single query: only the first key"

# %%
# What goes wrong
# ---------------
# **True means the opposite elsewhere.** In ``scaled_dot_product_attention``,
# ``True`` keeps a key. The layer :class:`torch.nn.MultiheadAttention` of
# :doc:`/lessons/architectures/10_transformer` takes a mask, too. It is called
# with query, key and value, and returns the output and the weights. We look
# only at the weights, so the keys also serve as values. Function and layer get
# the same mask, which is meant to hide the third key.

keep = torch.tensor([[True, True, False]])
query = torch.zeros(1, 2)
result = scaled_dot_product_attention(query, keys, values, attn_mask=keep)
print("function:", result.item())

# one attention; biases start at 0, so a zero query scores all keys 0
layer = nn.MultiheadAttention(embed_dim=2, num_heads=1)
_, kept_weights = layer(query, keys, keys, attn_mask=keep)
print("layer:         ", kept_weights.tolist())
_, inverted_weights = layer(query, keys, keys, attn_mask=~keep)
print("layer, ~ keep: ", inverted_weights.tolist())

# %%
# The function gives 35, the mean of the two kept values. The layer drops a key
# where the mask says ``True``, so all the weight goes to the key that should be
# hidden. There is no error, because the mask has the right type and shape.
# For the layer, invert it with ``~``.
#
# **All keys are hidden.** The softmax of only −∞ is ``nan``. The function
# returns 0 instead. The layer returns ``nan`` if it also returns the weights,
# as it does by default. Leave every query at least one key.

# %%
# .. check::

assert abs(result.item() - 35) < 1e-4, "the function keeps"
assert kept_weights.tolist() == [[0, 0, 1]], "the layer drops"
assert inverted_weights.tolist() == [[0.5, 0.5, 0]], "inverted"
assert torch.softmax(torch.full((3,), -torch.inf), dim=0).isnan().all(), "nan"
assert (
    scaled_dot_product_attention(
        query, keys, values, attn_mask=torch.zeros(1, 3).bool()
    )
    == 0
), "the function returns 0"
assert (
    layer(query, keys, keys, attn_mask=torch.ones(1, 3).bool())[0].isnan().all()
), "the layer returns nan"
assert (
    not layer(
        query,
        keys,
        keys,
        attn_mask=torch.ones(1, 3).bool(),
        need_weights=False,
    )[0]
    .isnan()
    .any()
), "without the weights it does not"

# %%
# Recipe
# ------
# So far the vectors were given. In a network, three linear layers compute them,
# and training finds out what to compare. (If all three come from the same
# sequence, this is *self-attention*.)
#
# The data are made up. Each example is a list of 2 to 6 items. Each item is a
# row with a code of 8 numbers and a price. Shorter lists are filled up to 6
# rows with rows that do not count. The network gets the list and the code of
# one item, and has to find its price.

import torch
from torch import nn
from torch.nn.functional import mse_loss, scaled_dot_product_attention


def make_lists(n):
    rows = torch.randn(n, 6, 9)  # 8 numbers of the code, and the price
    keep = torch.arange(6) < torch.randint(2, 7, (n, 1))  # (n, 6)
    # random numbers, 0 where hidden: the largest is a kept row
    wanted = (torch.rand(n, 6) * keep).argmax(dim=1)
    chosen = rows[torch.arange(n), wanted]  # (n, 9)
    query = chosen[:, :8].unsqueeze(1)  # (n, 1, 8)
    return query, rows, keep.unsqueeze(1), chosen[:, 8:]


# %%
# The mask has the shape (N, queries, keys), here (N, 1, 6).


class Lookup(nn.Module):
    def __init__(self, query_size, row_size, width):
        super().__init__()
        self.query = nn.Linear(query_size, width)
        self.key = nn.Linear(row_size, width)
        self.value = nn.Linear(row_size, 1)

    def forward(self, query, rows, keep):
        mixed = scaled_dot_product_attention(
            self.query(query), self.key(rows), self.value(rows), attn_mask=keep
        )  # (N, 1, 1)
        return mixed.flatten(1)


# %%
# Train on 2,000 lists, and hold out 500 others.

torch.manual_seed(0)
query, rows, keep, price = make_lists(2000)
test_query, test_rows, test_keep, test_price = make_lists(500)
model = Lookup(query_size=8, row_size=9, width=16)
optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
for _ in range(300):
    batch = torch.randint(0, len(rows), (128,))
    guess = model(query[batch], rows[batch], keep[batch])
    loss = mse_loss(guess, price[batch])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

# %%
# The typical error (root mean squared error), and the guess for one new list:

with torch.no_grad():
    guess = model(test_query, test_rows, test_keep)
    error = mse_loss(guess, test_price).item() ** 0.5
    baseline = mse_loss(price.mean().expand(500, 1), test_price).item() ** 0.5
    new_query, new_rows, new_keep, new_price = make_lists(1)
    new_guess = model(new_query, new_rows, new_keep).item()
print(f"error {error:.2f}, always the mean {baseline:.2f}")
print(f"new list: guess {new_guess:.2f}, true {new_price.item():.2f}")

# %%
# .. check::

assert error < 0.4 * baseline, "it finds the price"
assert abs(new_guess - new_price.item()) < 0.3, "the guess for a new list"
assert model(
    test_query, test_rows.masked_fill(~test_keep.mT, 99.0), test_keep
).equal(guess), "hidden rows do not count"
assert not model(
    test_query,
    test_rows.masked_fill(~test_keep.mT, 99.0),
    torch.ones(500, 1, 6).bool(),
).equal(guess), "without the mask they would"

# %%
# What you learned
# ----------------
# - Attention compares a query with all keys by dot products. A softmax makes
#   weights of these scores, and the result is the weighted mean of the values.
# - The scores are divided by √d, because otherwise the scores of random vectors
#   grow like √d, and with many features hardly any gradient is left.
# - A mask sets scores to −∞. A causal mask hides the later positions.
# - ``True`` keeps a key in ``scaled_dot_product_attention``, and drops it in
#   ``nn.MultiheadAttention``.
#
# Exercises
# ---------
# 1. **Predict.** The keys are a, b, a and the values 10, 60, 20, as before.
#    What is the result for the query (10, 10)? And for the query a, if a mask
#    hides the first pair? Without the division by √d, which weights does the
#    query (0.1, 0) give, about?
# 2. **Change.** Take the softmax of the first matrix of scores with ``dim=0``.
#    What are the results for the queries a, b and 0? How do you notice the
#    mistake?
# 3. **Extend.** Let attention complete pictures. The queries are the upper
#    halves of 500 test images. The keys are the upper halves of the 5,000
#    training images, and the values are their lower halves. How large is the
#    root mean squared error? How large is it if you always guess the mean of
#    the lower halves?

# %%
# .. answer:: 1
#
#    The query (10, 10) gives every key the score 100, so the result is the mean
#    of all values, 30. With the first pair hidden, only the third key fits a,
#    so the result is 20. The query (0.1, 0) gives the scores 1, 0, 1 and the
#    weights 0.42, 0.16, 0.42, so the better a key fits, the more it counts.

query = torch.tensor([[10.0, 10.0]])
both = scaled_dot_product_attention(query, keys, values)
keep = torch.tensor([[False, True, True]])
hidden = scaled_dot_product_attention(queries[:1], keys, values, attn_mask=keep)
print(both.item(), hidden.item())
small = torch.softmax(torch.tensor([[0.1, 0.0]]) @ keys.T, dim=1)
print(small)

# %%
# .. check::

assert abs(both.item() - 30) < 1e-4, "30"
assert abs(hidden.item() - 20) < 1e-4, "20"
assert small.allclose(torch.tensor([0.42, 0.16, 0.42]), atol=0.005), "weights"

# %%
# .. answer:: 2
#
#    They are 30, 60 and 0. Now each *column* of weights sums to 1. The first
#    and the third value both go to the query a, which gets 10 + 20, and nothing
#    is left for 0. No error tells you, because the shape is the same. You
#    notice it if you sum the weights of each row.

wrong_weights = torch.softmax(queries @ keys.T, dim=0)
wrong_output = wrong_weights @ values
print("results:", wrong_output.flatten().round().tolist())
print("sums of the rows:", wrong_weights.sum(dim=1).round().tolist())

# %%
# .. check::

assert wrong_output.flatten().allclose(
    torch.tensor([30.0, 60.0, 0.0]), atol=1e-3
), "30, 60, 0"
assert not wrong_weights.sum(dim=1).allclose(torch.ones(3)), "not 1"

# %%
# .. answer:: 3
#
#    The error of attention is clearly lower. It fetches the lower halves of
#    images whose upper halves look alike.

upper_query = standardize(test_set.x[:500, :, :14])  # (500, 392)
upper_key = standardize(train_set.x[:5000, :, :14])
lower_value = train_set.x[:5000, :, 14:].flatten(1)
lower_truth = test_set.x[:500, :, 14:].flatten(1)
completed = scaled_dot_product_attention(upper_query, upper_key, lower_value)
mean_half = lower_value.mean(dim=0)
half_error = (completed - lower_truth).square().mean().item() ** 0.5
mean_error = (mean_half - lower_truth).square().mean().item() ** 0.5
print(f"attention {half_error:.3f}, mean lower half {mean_error:.3f}")

# %%
# .. check::

assert half_error < 0.9 * mean_error, "clearly lower"
