"""Tunes a random forest: random search first, then a small tree-structured Parzen estimator (TPE).

    katib_tuner.py --max-trials 10 --parallel-trials 3

Trials run in rounds of --parallel-trials threads, and a round sees only the rounds before it, so that the
result does not depend on which thread is first. Bergstra et al., "Algorithms for Hyper-Parameter
Optimization", NeurIPS 2011.
"""
import argparse
import math
import random
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split

import deliveries

SEED = 7
SPACE = {'n_estimators': (10, 80), 'max_depth': (2, 16), 'min_samples_leaf': (1, 20)}
CANDIDATES = 24  # how many points TPE weighs before it proposes one


def suggest(history, rng):
    """Returns the next point: random until there are four results, then where good ones are dense."""
    if len(history) < 4:
        return {name: rng.randint(low, high) for name, (low, high) in SPACE.items()}
    ranked = sorted(history, key=lambda trial: -trial[1])
    cut = max(2, len(ranked) // 4)
    good, bad = [p for p, _ in ranked[:cut]], [p for p, _ in ranked[cut:]]
    return max((near(rng.choice(good), rng) for _ in range(CANDIDATES)),
               key=lambda point: log_density(point, good) - log_density(point, bad))


def near(point, rng):
    out = {}
    for name, (low, high) in SPACE.items():
        out[name] = min(high, max(low, round(rng.gauss(point[name], width(name)))))
    return out


def width(name):
    low, high = SPACE[name]
    return (high - low) / 5


def log_density(point, others):
    """Returns the log of a Parzen estimate at point, up to a constant; 1e-12 keeps it finite far away."""
    total = 0.0
    for name in SPACE:
        kernel = sum(math.exp(-0.5 * ((point[name] - o[name]) / width(name)) ** 2) for o in others)
        total += math.log(kernel / len(others) + 1e-12)
    return total


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--max-trials', type=int, required=True)
    parser.add_argument('--parallel-trials', type=int, required=True)
    args = parser.parse_args()

    rows, _ = deliveries.clean(deliveries.generate(n=2500))
    x = pd.DataFrame([deliveries.features(row) for row in rows])
    y = [int(row['late']) for row in rows]
    xa, xb, ya, yb = train_test_split(x, y, test_size=0.3, random_state=SEED)

    def trial(point):
        return RandomForestClassifier(random_state=SEED, **point).fit(xa, ya).score(xb, yb)

    rng, history = random.Random(SEED), []
    with ThreadPoolExecutor(args.parallel_trials) as pool:
        while len(history) < args.max_trials:
            n = min(args.parallel_trials, args.max_trials - len(history))
            points = [suggest(history, rng) for _ in range(n)]
            for point, accuracy in zip(points, pool.map(trial, points)):
                history.append((point, accuracy))
                print(f'trial {len(history)}: accuracy={accuracy:.4f} {text(point)}', flush=True)
    point, accuracy = max(history, key=lambda t: t[1])
    print(f'best of {len(history)} trials: accuracy={accuracy:.4f} {text(point)}')


def text(point):
    return ' '.join(f'{name}={value}' for name, value in point.items())


if __name__ == '__main__':
    main()
