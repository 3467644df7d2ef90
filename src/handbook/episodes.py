"""Play in environments with the interface of Gymnasium: one episode in each, all together."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn


class Episodes(NamedTuple):
    """What `play_episodes` saw: N episodes side by side, T steps long like the longest of them.

    After the end of its episode, a column holds steps in which ``alive`` is False. Their reward
    is 0, they neither terminate nor truncate, and their states and actions mean nothing.

    Attributes
    ----------
    states : Tensor
        States ``(T + 1, N, …)``, float32. Row t is what the policy saw, row t + 1 what came of it.
    actions : Tensor
        Actions ``(T, N)``, int64.
    rewards : Tensor
        Rewards ``(T, N)``, float32.
    terminated : Tensor
        True ``(T, N)`` where the step ended the episode, as when a pole falls.
    truncated : Tensor
        True ``(T, N)`` where only the time limit ended it, False where it terminated, too.
    alive : Tensor
        True ``(T, N)`` where the step belongs to the episode, its last step included.
    """

    states: Tensor
    actions: Tensor
    rewards: Tensor
    terminated: Tensor
    truncated: Tensor
    alive: Tensor


@torch.no_grad()
def play_episodes(
    policy: nn.Module,
    envs: Any,
    *,
    greedy: bool = False,
    seed: int | None = None,
    options: dict[str, Any] | None = None,
) -> Episodes:
    """Play one episode in each of several environments, which step together.

    Parameters
    ----------
    policy : nn.Module
        Maps states ``(N, …)``, float32, to logits ``(N, A)`` of A actions. It is used in the mode
        in which it is.
    envs : Any
        What ``gymnasium.make_vec`` returns, with discrete actions from 0 to A - 1. An environment
        that is done has to keep its last state until the step after that, as is the default.
    greedy : bool
        Take the most likely action, instead of one drawn by its probability.
    seed : int, optional
        Seeds the start states; without it, the environments go on with their own random numbers.
        Actions are drawn with the random numbers of torch.
    options : dict, optional
        What ``envs.reset`` is told beside the seed.

    Returns
    -------
    Episodes
        States, actions, rewards, ends, and which steps count.

    Raises
    ------
    ValueError
        If the environments start the next episode in the very step that ends one.

    Examples
    --------
    >>> import gymnasium as gym
    >>> envs = gym.make_vec("CartPole-v1", num_envs=3)
    >>> push_right = nn.Linear(4, 2)
    >>> for parameter in push_right.parameters():
    ...     parameter = nn.init.zeros_(parameter)
    >>> bias = push_right.bias.data.copy_(torch.tensor([0.0, 1.0]))
    >>> episodes = play_episodes(push_right, envs, greedy=True, seed=0)
    >>> episodes.rewards.sum(dim=0)  # how long each pole stood
    tensor([10., 10.,  9.])
    >>> episodes.states.shape
    torch.Size([11, 3, 4])
    """
    mode = envs.metadata.get("autoreset_mode")
    if getattr(mode, "name", None) == "SAME_STEP":
        raise ValueError(
            "the environments hide the last state of an episode: make them with "
            'vector_kwargs={"autoreset_mode": gymnasium.vector.AutoresetMode.NEXT_STEP}'
        )
    state = envs.reset(seed=seed, options=options)[0].astype(np.float32)
    running = np.ones(envs.num_envs, dtype=bool)
    states = [state]
    steps = []
    while running.any():
        action = _choose(policy(torch.from_numpy(state)), greedy).numpy()
        seen, reward, terminated, truncated, _ = envs.step(action)
        state = seen.astype(np.float32)
        terminated = terminated & running
        truncated = truncated & running & ~terminated
        states.append(state)
        steps.append((action, reward * running, terminated, truncated, running))
        running = running & ~terminated & ~truncated
    columns = [torch.from_numpy(np.stack(column)) for column in zip(*steps, strict=True)]
    actions, rewards, *masks = columns  # numpy until here, which is quicker in small steps
    return Episodes(torch.from_numpy(np.stack(states)), actions, rewards.float(), *masks)


def _choose(logits: Tensor, greedy: bool) -> Tensor:
    if greedy:
        return logits.argmax(dim=1)
    return logits.softmax(dim=1).multinomial(1).squeeze(1)
