"""
Policy gradients: REINFORCE
===========================

How can a network learn what to do, when nobody tells it the right action?

In :term:`reinforcement learning` a program acts, and is told only how good the
outcome was. No derivative leads from the outcome back to the actions.
*REINFORCE*, the simplest *policy gradient*, makes the actions of good outcomes
more likely. Here it learns to balance a pole, beside a rule of one line that
needs no training.

After this lesson you can

- turn rewards into a loss, and say why its value tells you nothing
- train a policy on an environment of Gymnasium, with a baseline that makes the
  gradient less noisy
- judge a policy by new episodes, also in a world that has changed
"""

# %%
# Setup
# -----

import gymnasium as gym
import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn.functional import cross_entropy

torch.manual_seed(0)

# %%
# A machine with two arms
# -----------------------
# A gambling machine has two arms. Arm 0 pays 0, arm 1 pays 1, and the player
# does not know this. A :term:`policy` says how likely each action is. Ours is
# two logits, and their softmax gives both arms a probability of ½. So the mean
# reward is 0.5. If we know what the arms pay, the gradient says how to raise
# it:

pays = torch.tensor([0.0, 1.0])
logits = torch.zeros(2, requires_grad=True)
expected = (logits.softmax(dim=0) * pays).sum()
expected.backward()
print(f"mean reward {expected:.2f}, gradient {logits.grad.tolist()}")

# %%
# The player has to draw an arm and see what comes. REINFORCE takes the drawn
# arm as if it were the right label, and multiplies the cross-entropy, which is
# the arm's surprise, −ln p, by the reward. A step downhill makes this arm more
# likely, and more so the higher the reward. We print how the loss pushes the
# logit of arm 1 after a draw of arm 0, after a draw of arm 1, and on average,
# for three kinds of rewards.

pushes = torch.zeros(3, 2)
rewards = torch.tensor([[0.0, 1.0], [10.0, 11.0], [-0.5, 0.5]])
for i in range(3):
    for arm in [0, 1]:
        logits = torch.zeros(2, requires_grad=True)
        loss = rewards[i, arm] * cross_entropy(logits, torch.tensor(arm))
        loss.backward()
        pushes[i, arm] -= logits.grad[1]
for name, row in zip(["0, 1", "10, 11", "minus 10.5"], pushes, strict=True):
    print(f"{name:10}  {row[0]:5.2f} {row[1]:5.2f}  mean {row.mean():.2f}")

# %%
# The mean is 0.25 each time, exactly the gradient that we computed with
# knowledge of the arms. (Each arm has p = ½, so the plain mean is the
# expectation.) In general, an arm is drawn with probability p and pushes by its
# reward times ∇ln p, where ∇ means the gradient by the logits. Because p · ∇ln
# p = ∇p, the average push is the gradient of the mean reward. But if both arms
# pay 10 more, the 0.25 is lost in the noise of −5 and 5.5. In the last row we
# subtract the mean reward, 10.5, which is called a *baseline*. Now both draws
# push the same way.
#
# ``choose`` draws an action from logits, or takes the most likely one, which is
# called *greedy*.


def choose(logits, greedy=False):
    if greedy:
        return logits.argmax(dim=1)
    return logits.detach().softmax(dim=1).multinomial(1).squeeze(1)


# %%
# 100 players draw 1,000 times each. The baseline is the mean of the player's
# rewards so far, and 0 for the first draw.


def run_arms(bonus, use_baseline):
    logits = torch.zeros(100, 2, requires_grad=True)  # 100 players
    baseline = torch.zeros(100)
    for n in range(1, 1_001):
        arm = choose(logits)
        reward = pays[arm] + bonus
        surprise = cross_entropy(logits, arm, reduction="none")
        loss = ((reward - baseline) * surprise).sum()
        gradient = torch.autograd.grad(loss, logits)[0]
        with torch.no_grad():
            logits -= 0.1 * gradient
        if use_baseline:
            baseline += (reward - baseline) / n
    return (logits[:, 0] > logits[:, 1]).sum().item()


# %%
# Without the 10 more, with them, and with the baseline:

wrong = [run_arms(0, False), run_arms(10, False), run_arms(10, True)]
print("prefer the worse arm, of 100:", wrong)

# %%
# With rewards of 0 and 1, nothing makes arm 0 more likely. With 10 and 11,
# whichever arm is drawn becomes more likely, and so it is drawn again. At this
# learning rate, about a third of the players end with arm 0. With the baseline,
# nobody does.

# %%
# .. check::

assert abs(expected - 0.5) < 1e-6, "mean reward"
assert torch.allclose(pushes.mean(dim=1), torch.full((3,), 0.25), atol=1e-5), (
    "the mean push is the gradient"
)
assert torch.allclose(pushes[1], torch.tensor([-5, 5.5])), "noise"
assert torch.allclose(pushes[2], torch.tensor([0.25, 0.25])), "no noise"
assert wrong[0] == 0, "small rewards"
assert 20 < wrong[1] < 50, "about a third"
assert wrong[2] == 0, "nobody with the baseline"

# %%
# A cart and a pole
# -----------------
# Gymnasium is a library of small worlds for reinforcement learning, called
# *environments*. They all have the same two methods. ``reset`` starts an
# :term:`episode` and returns the state. ``step`` takes an action and returns
# the next state, a reward, and whether the episode is over. In CartPole, a pole
# stands on a cart, and 50 times a second we push the cart to the left (action
# 0) or to the right (action 1).

env = gym.make("CartPole-v1")
state, _ = env.reset(seed=0)
print(state)
state, reward, terminated, truncated, _ = env.step(1)
print(state, reward, terminated, truncated)
print("solved:", env.spec.reward_threshold, "of", env.spec.max_episode_steps)

# %%
# .. alt:: A cart on a track, with a pole that leans to the right, and arrows
#    for the two possible pushes.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(5, 2.2), layout="constrained")
axis.plot([-2.4, 2.4], [0, 0], color="gray", linewidth=1)
axis.plot([-2.4, 2.4], [0, 0], "|", color="gray", markersize=16)
axis.add_patch(plt.Rectangle((0.25, 0.02), 0.5, 0.25, color="#0072B2"))
axis.plot([0.5, 0.64], [0.27, 1.26], color="#D55E00", linewidth=5)
axis.plot([0.5, 0.5], [0.27, 1.26], ":", color="gray")
for end, name in [(-0.5, "0: left"), (1.5, "1: right")]:
    side = 0.2 if end < 0 else 0.8
    axis.annotate(
        name, (side, 0.14), (end, 0.14), ha="center", va="center",
        arrowprops={"arrowstyle": "<-"},
    )  # fmt: skip
axis.text(0.7, 1.2, "angle", color="#D55E00")
axis.set(xlabel="position", ylim=(-0.1, 1.5), yticks=[], aspect="equal")

# %%
# The state is four numbers: position and velocity of the cart, angle and
# angular velocity of the pole. Each step gives a reward of 1, so the *return*
# of an episode, which is the sum of its rewards, is the number of its steps. An
# episode is *terminated* when the pole leans by more than 12 degrees or the
# cart leaves the track, and *truncated* after 500 steps. Solved means a mean
# return of 475 or more.
#
# A simple rule first
# -------------------
# If the pole goes on as it moves now, on which side will it be in half a
# second? Push to that side. We write the rule as a policy that returns logits.
# The other policy is a layer of zeros, which is always undecided.


at_random = nn.Linear(4, 2)
nn.init.zeros_(at_random.weight)
nn.init.zeros_(at_random.bias)


def rule(state):  # (N, 4)
    later = state[:, 2] + 0.5 * state[:, 3]
    return torch.stack([-later, later], dim=1)  # (N, 2)


# %%
# ``make_vec`` makes many environments that step together. ``play`` plays one
# episode in each. The mask ``alive`` says which episodes still run.


def play(policy, envs, state, greedy=False):
    alive = torch.ones(envs.num_envs, dtype=torch.bool)
    states = []
    actions = []
    masks = []
    while alive.any():
        state = torch.from_numpy(state)
        with torch.no_grad():
            action = choose(policy(state), greedy)
        states.append(state)
        actions.append(action)
        masks.append(alive)
        state, _, terminated, truncated, _ = envs.step(action.numpy())
        alive = alive & ~torch.from_numpy(terminated | truncated)
    return torch.stack(states), torch.stack(actions), torch.stack(masks)


# %%
# ``test`` plays 100 new episodes, and returns their lengths and states. The
# four numbers of a start are drawn between −0.05 and 0.05 unless we say
# otherwise.


def test(policy, seed, greedy=True, width=0.05):
    envs = gym.make_vec("CartPole-v1", num_envs=100)
    limits = {"low": -width, "high": width}
    state, _ = envs.reset(seed=1_000 + seed, options=limits)
    states, _, alive = play(policy, envs, state, greedy)
    return alive.sum(dim=0).float(), states


random_steps = test(at_random, seed=0, greedy=False)[0]
rule_steps = test(rule, seed=0)[0]
print(f"random: {random_steps.mean():.0f}, rule: {rule_steps.mean():.0f}")

# %%
# The rule holds the pole in all 100 episodes until time runs out. A network can
# only equal that.

# %%
# .. check::

assert env.spec.reward_threshold == 475, "solved"
assert env.spec.max_episode_steps == 500, "time limit"
assert 17 < random_steps.mean() < 28, "random pushes"
assert rule_steps.min() == 500, "the rule holds the pole in all 100"

# %%
# REINFORCE
# ---------
# The loss is that of the two arms, with
# :func:`torch.nn.functional.cross_entropy`. All actions of an episode get the
# same weight, its return. (Only the rewards that follow an action depend on it,
# so their sum, the *reward-to-go*, would do.) The baseline is the mean return
# of the episodes that were played together. ``[alive]`` keeps the steps that
# count, and ``expand`` gives each step the weight of its episode.


def reinforce_loss(policy, states, actions, alive, use_baseline):
    weight = alive.sum(dim=0).float()  # (N,), the return of each episode
    if use_baseline:
        weight = weight - weight.mean()
    weight = weight.expand(alive.shape)[alive]
    logits = policy(states[alive])
    surprise = cross_entropy(logits, actions[alive], reduction="none")
    return (weight * surprise).sum() / alive.shape[1]  # mean over the episodes


# %%
# Each update plays 50 new episodes with the present policy, because old ones
# say what an older policy would get.


def train(seed, use_baseline, lr):
    torch.manual_seed(seed)
    policy = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 2))
    optimizer = torch.optim.Adam(policy.parameters(), lr=lr)
    envs = gym.make_vec("CartPole-v1", num_envs=50)
    envs.reset(seed=seed)
    log = []  # lengths of the 50 episodes, and the loss, of each update
    for _ in range(25):
        played = play(policy, envs, envs.reset()[0])
        loss = reinforce_loss(policy, *played, use_baseline)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        log.append({"steps": played[2].sum(dim=0), "loss": loss.item()})
    return policy, log


# %%
# We chose the learning rates with five other seeds, 10 to 14, among 0.01, 0.02,
# 0.03, 0.04 and 0.06 without the baseline, and from 0.02 to 0.1 with it.
# Without it 0.02 was best, and with it 0.03 to 0.1 were alike.

players = {
    "random": [at_random] * 5,
    "rule": [rule] * 5,
    "no baseline": [],
    "baseline": [],
}
logs = {"no baseline": [], "baseline": []}
for name, lr in [("no baseline", 0.02), ("baseline", 0.04)]:
    for seed in range(5):
        policy, log = train(seed, name == "baseline", lr)
        players[name].append(policy)
        logs[name].append(log)

# %%
# .. alt:: Mean length of the 50 episodes against the update. Five curves with
#    the baseline reach 500, and five without it end between 100 and 400.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(5, 3.2), layout="constrained")
colours = {"baseline": "#0072B2", "no baseline": "#D55E00"}
for name, colour in colours.items():
    for seed in range(5):
        curve = [row["steps"].float().mean() for row in logs[name][seed]]
        label = name if seed == 0 else None
        axis.plot(range(1, 26), curve, color=colour, label=label)
axis.axhline(475, linestyle="--", color="gray", label="solved")
axis.set(xlabel="update", ylabel="mean steps of an episode")
axis.legend()

# %%
# These are episodes of the training, with actions drawn from the policy. We
# judge by 100 new, greedy episodes for each seed. (The random policy has no
# favourite.) The second column starts from a wider range, −0.2 to 0.2. No
# training episode started so far out. The numbers are mean ± standard deviation
# over the seeds. (Nothing is trained in the first two rows.)

results = {}
for name, policies in players.items():
    results[name] = torch.zeros(5, 2)
    greedy = name != "random"
    for seed in range(5):
        for i, width in enumerate([0.05, 0.2]):
            steps = test(policies[seed], seed, greedy, width)[0]
            results[name][seed, i] = steps.mean()
    mean = results[name].mean(dim=0)
    std = results[name].std(dim=0)
    solved = (results[name][:, 0] >= 475).sum()
    print(f"{name:11} {mean[0]:3.0f} ± {std[0]:3.0f}", end="  ")
    print(f"solved {solved} of 5  wide {mean[1]:3.0f} ± {std[1]:3.0f}")
gain = (results["baseline"] - results["no baseline"])[:, 0]
print(f"gain by the baseline: {gain.mean():.0f} ± {gain.std() / 5**0.5:.0f}")

# %%
# With the baseline, the network solves the task for each of the five seeds.
# Without it, the same 1,250 episodes are too few for most of them, although
# greedy actions do better than the drawn ones of the figure. (The ± of the last
# line is a standard error.) The rule manages this without training. But from
# the wider starts the network still comes close to 500 steps, and the rule
# loses many episodes. Where is the cart then?

rule_steps, rule_states = test(rule, 0, width=0.2)
last = rule_states[rule_steps.long() - 1, torch.arange(100), 0]
at_edge = (last.abs() > 2.3) & (rule_steps < 500)
lost = (rule_steps < 500).sum().item()
print(f"lost by the rule: {lost}, at the edge: {at_edge.sum().item()}")

# %%
# The cart is at the edge each time, because the rule ignores it.

# %%
# .. check::

assert (results["random"] < 30).all(), "random pushes"
assert (results["rule"][:, 0] >= 499).all(), "the rule needs no training"
assert (results["baseline"][:, 0] >= 475).all(), "solved for each seed"
assert (results["no baseline"][:, 0] < 475).sum() >= 3, "not for most"
assert results["no baseline"][:, 0].mean() > sum(
    log[-1]["steps"].float().mean() / 5 for log in logs["no baseline"]
), "greedy actions do better"
assert gain.mean() > 1.5 * gain.std() / 5**0.5, "the baseline helps"
assert (results["rule"][:, 1] < 400).all(), "the rule loses from wide starts"
assert (results["baseline"][:, 1] > 450).all(), "the network does not"
assert at_edge.sum() == lost, "all at the edge"

# %%
# What goes wrong
# ---------------
# **The loss is read as progress.** Here are five updates of seed 0, with the
# baseline:

losses = [row["loss"] for row in logs["baseline"][0]]
means = [row["steps"].float().mean() for row in logs["baseline"][0]]
for n in [1, 7, 13, 19, 25]:
    print(f"update {n:2}: {means[n - 1]:3.0f} steps, loss {losses[n - 1]:6.1f}")

# %%
# At first the loss rises while the policy gets better. Its weights are the
# returns of the latest episodes, so each update has another loss, and the
# values cannot be compared. When all 50 episodes of an update last 500 steps,
# all its weights are 0, and so is the loss. Plot the return.

# %%
# .. check::

assert losses[12] > 1.5 * losses[0], "the loss rises"
assert 500 in means, "all 50 episodes last 500 steps"
assert all(
    loss == 0 for mean, loss in zip(means, losses, strict=True) if mean == 500
), "all weights are 0"

# %%
# In production
# -------------
# The training takes 1,250 episodes of trial and error, so it needs a simulator,
# and no simulator is quite like the machine. We try poles that are twice and
# four times as long:

long_pole = gym.make_vec("CartPole-v1", num_envs=100)
long_means = {}
for name in ["random", "rule", "baseline"]:
    long_means[name] = torch.zeros(2, 5)
    greedy = name != "random"
    for i, half in enumerate([1.0, 2.0]):
        long_pole.unwrapped.length = half  # half of the pole, before: 0.5
        long_pole.unwrapped.polemass_length = 0.1 * half  # mass times length
        for seed in range(5):
            state, _ = long_pole.reset(seed=1_000 + seed)
            played = play(players[name][seed], long_pole, state, greedy)
            long_means[name][i, seed] = played[2].sum(dim=0).float().mean()
    print(f"{name:8}", long_means[name].round().int().tolist())

# %%
# These five networks hold a pole twice as long. At four times they drop it
# sooner than random pushes do, and the rule still lasts for more than 400
# steps. So test a policy in worlds that differ from the simulator, and keep a
# simple rule to fall back on.

# %%
# .. check::

assert (long_means["baseline"][0] >= 475).sum() >= 4, (
    "they hold twice the length"
)
assert (long_means["baseline"] < long_means["random"])[1].sum() >= 3, (
    "and drop four times the length sooner than random pushes"
)
assert (long_means["baseline"][1] < 100).sum() >= 3, "the networks fail"
assert long_means["rule"].min() > 400, "the rule goes on"

# %%
# Recipe
# ------
# This version adds up the surprise while it plays. It is slower, but takes any
# rewards. Put your own environment, with vectors as states and discrete
# actions, in place of ``CartPole-v1``, and the numbers of its state values and
# actions in place of 4 and 2. As long as all returns are equal, it learns
# nothing.

import gymnasium as gym
import torch
from torch import nn
from torch.nn.functional import cross_entropy

# %%
# ``play_once`` returns the return and the total surprise of each episode.


def play_once(policy, envs):
    state, _ = envs.reset()
    alive = torch.ones(envs.num_envs)
    returns = torch.zeros(envs.num_envs)
    total = torch.zeros(envs.num_envs)
    while alive.any():
        logits = policy(torch.from_numpy(state).float())
        action = logits.detach().softmax(dim=1).multinomial(1).squeeze(1)
        surprise = cross_entropy(logits, action, reduction="none")
        total = total + alive * surprise
        state, reward, terminated, truncated, _ = envs.step(action.numpy())
        returns += alive * torch.from_numpy(reward)
        alive = alive * ~torch.from_numpy(terminated | truncated)
    return returns, total


# %%
# Then train, judge by new episodes, and ask for one action.

torch.manual_seed(0)
envs = gym.make_vec("CartPole-v1", num_envs=50)
envs.reset(seed=0)
policy = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 2))
optimizer = torch.optim.Adam(policy.parameters(), lr=0.04)
for _ in range(15):
    returns, total = play_once(policy, envs)
    loss = ((returns - returns.mean()) * total).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"50 new episodes: {play_once(policy, envs)[0].mean():.0f}")
leaning_right = torch.tensor([[0.0, 0.0, 0.1, 0.0]])
print("push to the right:", policy(leaning_right).argmax(dim=1).item() == 1)

# %%
# What you learned
# ----------------
# - REINFORCE weights −ln p of each action by the return of its episode. On
#   average, the gradient is that of the mean return.
# - A baseline does not change this mean, and it reduces the noise. With it, all
#   five networks solved CartPole, and without it most did not. A rule of one
#   line needed no training. It was worse from wider starts, and better on the
#   longest pole.
# - The value of the loss means nothing. Judge a policy by new episodes, also in
#   a world that has changed.
#
# Exercises
# ---------
#
# 1. **Predict.** Arm 0 pays 10 and arm 1 pays 11, and the baseline is 10. How
#    do the two draws push the logit of arm 1, and what is the mean?
# 2. **Change.** The rule looks half a second ahead. What if it looks ahead a
#    whole second, or not at all?
# 3. **Extend.** Give the rule the position and the velocity of the cart, too,
#    each times 0.1. Test it from the wider starts and on the longest pole.

# %%
# .. answer:: 1
#
#    By 0 and by 0.5, so the mean is 0.25 once more. A baseline that does not
#    depend on the draw does not change the mean. (The mean return of 50
#    episodes contains the episode itself. That only shrinks the gradient by one
#    part in 50.)

answer = torch.zeros(2)
for arm in [0, 1]:
    logits = torch.zeros(2, requires_grad=True)
    loss = (pays[arm] + 10 - 10) * cross_entropy(logits, torch.tensor(arm))
    loss.backward()
    answer[arm] -= logits.grad[1]
print(answer.tolist(), "mean", answer.mean().item())

# %%
# .. check::

assert torch.allclose(answer, torch.tensor([0, 0.5])), "by 0 and by 0.5"

# %%
# .. answer:: 2
#
#    A whole second is a little worse, and some carts leave the track. Without
#    the angular velocity the pole soon falls, because the push always comes too
#    late.


def not_ahead(state):
    return torch.stack([-state[:, 2], state[:, 2]], dim=1)


def one_second(state):
    later = state[:, 2] + state[:, 3]
    return torch.stack([-later, later], dim=1)


not_at_all = test(not_ahead, 0)[0].mean().item()
whole = test(one_second, 0)[0].mean().item()
print(f"not ahead: {not_at_all:.0f}, a whole second: {whole:.0f}")

# %%
# .. check::

assert not_at_all < 60, "the pole soon falls"
assert 460 < whole < 499, "a little worse"

# %%
# .. answer:: 3
#
#    It holds the pole in all of them. Four numbers that a person wrote down do
#    what the five networks do, and more. They come from a person who knows
#    which way the cart has to go. REINFORCE had to find that out from returns.


def full_rule(state):
    side = state @ torch.tensor([0.1, 0.1, 1, 0.5])
    return torch.stack([-side, side], dim=1)


state, _ = long_pole.reset(seed=1_000)
long_steps = play(full_rule, long_pole, state, greedy=True)[2].sum(dim=0)
wide_steps = test(full_rule, 0, width=0.2)[0]
print("shortest:", wide_steps.min().item(), long_steps.min().item())

# %%
# .. check::

assert wide_steps.min() == 500, "all from wide starts"
assert long_steps.min() == 500, "all with the long pole"
