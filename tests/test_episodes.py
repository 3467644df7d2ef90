"""Episodes: what of a step belongs to an episode, and how it ended."""

import gymnasium as gym
import pytest
import torch
from torch import nn

from handbook import play_episodes


def constant(*logits):
    """Return a policy with the same logits in every state of CartPole."""
    policy = nn.Linear(4, len(logits))
    nn.init.zeros_(policy.weight)
    policy.bias.data.copy_(torch.tensor(logits))
    return policy


class Balance(nn.Module):
    """Hold the pole by a rule."""

    def forward(self, state):
        later = state[:, 2] + 0.5 * state[:, 3]
        return torch.stack([-later, later], dim=1)


def test_steps_are_those_of_the_environments():
    envs = gym.make_vec("CartPole-v1", num_envs=4)
    torch.manual_seed(0)
    played = play_episodes(constant(0.0, 0.0), envs, seed=3)
    lengths = played.alive.sum(dim=0)
    assert len(set(lengths.tolist())) > 1, "episodes of several lengths"
    for i in range(4):  # each once more, by itself
        env = gym.make("CartPole-v1")
        env.reset()
        env.unwrapped.state = played.states[0, i].double().numpy()
        for t in range(lengths[i]):
            state, reward, terminated, _, _ = env.step(played.actions[t, i].item())
            assert torch.allclose(played.states[t + 1, i], torch.from_numpy(state), atol=1e-4)
            assert played.rewards[t, i] == reward
            assert played.terminated[t, i] == terminated
        assert terminated


def test_after_the_end_nothing_counts():
    envs = gym.make_vec("CartPole-v1", num_envs=20)
    torch.manual_seed(0)
    played = play_episodes(constant(0.0, 0.0), envs, seed=0)
    assert len(played.states) == len(played.alive) + 1
    assert played.alive[0].all()
    assert not (played.alive[1:] & ~played.alive[:-1]).any(), "none comes back to life"
    assert not played.rewards[~played.alive].any()
    assert not (played.terminated | played.truncated)[~played.alive].any()
    assert (played.terminated.sum(dim=0) == 1).all()
    assert torch.equal(played.rewards.sum(dim=0), played.alive.sum(dim=0).float())


def test_a_time_limit_is_no_fall():
    envs = gym.make_vec("CartPole-v1", num_envs=3, max_episode_steps=7)
    played = play_episodes(Balance(), envs, greedy=True, seed=0)
    assert played.alive.shape == (7, 3)
    assert not played.terminated.any()
    assert played.truncated[-1].all() and played.truncated.sum() == 3


def test_a_fall_in_the_last_step_is_a_fall():
    right = constant(0.0, 1.0)
    fall = len(play_episodes(right, gym.make_vec("CartPole-v1"), greedy=True, seed=0).alive)
    envs = gym.make_vec("CartPole-v1", max_episode_steps=fall)
    played = play_episodes(right, envs, greedy=True, seed=0)
    assert played.terminated[-1].all() and not played.truncated.any()


def test_greedy_draws_nothing_and_seed_and_options_reach_the_start():
    envs = gym.make_vec("CartPole-v1", num_envs=50)
    wide = {"low": -0.2, "high": 0.2}
    once = play_episodes(Balance(), envs, greedy=True, seed=1, options=wide)
    again = play_episodes(Balance(), envs, greedy=True, seed=1, options=wide)
    other = play_episodes(Balance(), envs, greedy=True, seed=2, options=wide)
    assert torch.equal(once.states, again.states)
    assert not torch.equal(once.states[0], other.states[0])
    assert 0.19 < once.states[0].abs().max() < 0.2
    assert {tensor.dtype for tensor in once} == {torch.float32, torch.int64, torch.bool}


def test_actions_are_drawn_by_their_probability():
    envs = gym.make_vec("CartPole-v1", num_envs=200)
    torch.manual_seed(0)
    played = play_episodes(constant(0.0, 1.0), envs, seed=0)
    share = played.actions[played.alive].float().mean()
    assert abs(share - torch.tensor(1.0).sigmoid()) < 0.03
    assert not played.states.requires_grad


def test_other_autoreset_is_refused():
    same = {"autoreset_mode": gym.vector.AutoresetMode.SAME_STEP}
    envs = gym.make_vec("CartPole-v1", num_envs=2, vectorization_mode="sync", vector_kwargs=same)
    with pytest.raises(ValueError, match="NEXT_STEP"):
        play_episodes(constant(0.0, 0.0), envs)
    usual = gym.make_vec("CartPole-v1", num_envs=2, vectorization_mode="sync")
    torch.manual_seed(0)
    assert play_episodes(constant(0.0, 0.0), usual, seed=0).terminated.sum() == 2
