"""The named solvers as their papers write them, with the proximal map of the charges after the step."""

import numpy as np


def shrunk(parameters, step, l1, l2):
    """Minimiser of ``(w - parameters)^2 / (2 step) + l1 |w| + l2 / 2 w^2``, sign by sign."""
    out = np.zeros_like(parameters)
    step, l1, l2 = (np.broadcast_to(value, parameters.shape) for value in (step, l1, l2))
    for place, w in np.ndenumerate(parameters):
        weaker = abs(w) - step[place] * l1[place]
        if weaker > 0:
            out[place] = np.copysign(weaker, w) / (1 + step[place] * l2[place])
    return out


class NaiveSGD:
    """iPiano (Ochs 2014): momentum is a part of the last move, that of the penalty included."""

    def __init__(self, parameters, rate):
        self.w, self.rate = parameters.copy(), rate
        self.before = self.w

    def step(self, g, l1, l2):
        moved = self.w - self.rate * g + 0.9 * (self.w - self.before)
        new = shrunk(moved, self.rate, l1, l2)
        self.before, self.w = np.where(new == 0, new, self.w), new
        return self.w


class NaiveAdaGrad:
    def __init__(self, parameters, rate):
        self.w, self.rate = parameters.copy(), rate
        self.gradients = []

    def step(self, g, l1, l2):
        self.gradients.append(g)
        step = self.rate / np.sqrt(1 + sum(past**2 for past in self.gradients))
        self.w = shrunk(self.w - step * g, step, l1, l2)
        return self.w


class NaiveAdam:
    """The moments as weighted sums over all gradients so far."""

    def __init__(self, parameters, rate):
        self.w, self.rate = parameters.copy(), rate
        self.gradients = []

    def step(self, g, l1, l2):
        self.gradients.append(g)
        t = len(self.gradients)
        mean = sum(0.1 * 0.9 ** (t - 1 - i) * past for i, past in enumerate(self.gradients))
        squares = sum(0.001 * 0.999 ** (t - 1 - i) * past**2 for i, past in enumerate(self.gradients))
        mean, squares = mean / (1 - 0.9**t), squares / (1 - 0.999**t)
        step = self.rate / (np.sqrt(squares) + 1e-8)
        self.w = shrunk(self.w - step * mean, step, l1, l2)
        return self.w


class NaiveFTRL:
    """Algorithm 1 of McMahan 2013 with beta = 1 and penalties that add up over the steps.

    z starts where the closed form gives the first parameters.
    """

    def __init__(self, parameters, rate):
        self.alpha = rate
        self.w, self.n = parameters.copy(), np.zeros_like(parameters)
        self.z = -parameters / rate
        self.l1 = self.l2 = 0.0

    def step(self, g, l1, l2):
        self.l1, self.l2 = self.l1 + l1, self.l2 + l2
        sigma = (np.sqrt(self.n + g**2) - np.sqrt(self.n)) / self.alpha
        self.z = self.z + g - sigma * self.w
        self.n = self.n + g**2
        denominator = (1 + np.sqrt(self.n)) / self.alpha + self.l2
        active = np.abs(self.z) > self.l1
        self.w = np.where(active, -(self.z - np.sign(self.z) * self.l1) / denominator, 0.0)
        return self.w


NAIVE = {"sgd": NaiveSGD, "adagrad": NaiveAdaGrad, "adam": NaiveAdam, "ftrl": NaiveFTRL}
