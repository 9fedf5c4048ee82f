"""Trains a random forest that says whether a delivery will be late.

    train.py --data-path /data/processed --model-path /models/model.joblib

The model file is a joblib bundle: the model, its columns, and the fifth of the data that it has not seen,
so that evaluate.py needs nothing but the model.
"""
import argparse
import pathlib

import joblib
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split

SEED = 7


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--data-path', type=pathlib.Path, required=True)
    parser.add_argument('--model-path', type=pathlib.Path, required=True)
    args = parser.parse_args()

    file = args.data_path / 'table.csv' if args.data_path.is_dir() else args.data_path
    seen, unseen = train_test_split(pd.read_csv(file), test_size=0.2, random_state=SEED)
    columns = [c for c in seen.columns if c != 'late']
    model = RandomForestClassifier(n_estimators=80, max_depth=12, oob_score=True, random_state=SEED)
    model.fit(seen[columns], seen['late'])

    args.model_path.parent.mkdir(parents=True, exist_ok=True)
    joblib.dump({'model': model, 'columns': columns, 'unseen': unseen}, args.model_path, compress=3)
    print(f'trained on {len(seen)} deliveries, out-of-bag accuracy {model.oob_score_:.4f}')


if __name__ == '__main__':
    main()
