"""One trial: a small neural network on handwritten digits, its accuracy after each epoch."""
import argparse
import warnings

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

p = argparse.ArgumentParser()
p.add_argument("--learning-rate", type=float, required=True)
p.add_argument("--batch-size", type=int, required=True)
p.add_argument("--dropout-rate", type=float, default=0.0)
p.add_argument("--epochs", type=int, default=8)
args = p.parse_args()

warnings.filterwarnings("ignore")
x, y = load_digits(return_X_y=True)
x, x_test, y, y_test = train_test_split(x / 16, y, test_size=0.3, random_state=0)
rng = np.random.default_rng(0)
model = MLPClassifier((48,), learning_rate_init=args.learning_rate, batch_size=args.batch_size, random_state=0)
for epoch in range(args.epochs):
    order = rng.permutation(len(x))
    keep = rng.random(x.shape) >= args.dropout_rate  # of the input: scikit-learn's network has no dropout of its own
    model.partial_fit((x * keep)[order], y[order], classes=np.arange(10))
    print(f"epoch={epoch + 1} loss={model.loss_:.5f} accuracy={model.score(x_test, y_test):.5f}", flush=True)
