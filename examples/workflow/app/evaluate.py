"""Measures a model on the data that train.py kept back.

    evaluate.py --model-path /models/model.joblib --output-path /results/evaluation.json
"""
import argparse
import json
import pathlib

import joblib
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, roc_auc_score


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--model-path', type=pathlib.Path, required=True)
    parser.add_argument('--output-path', type=pathlib.Path, required=True)
    args = parser.parse_args()

    bundle = joblib.load(args.model_path)
    truth = bundle['unseen']['late']
    chance = bundle['model'].predict_proba(bundle['unseen'][bundle['columns']])[:, 1]
    guess = (chance >= 0.5).astype(int)
    result = {
        'accuracy': round(accuracy_score(truth, guess), 4),
        'f1': round(f1_score(truth, guess), 4),
        'roc_auc': round(roc_auc_score(truth, chance), 4),
        'rows': len(truth),
        'confusion': confusion_matrix(truth, guess).tolist(),
    }
    args.output_path.parent.mkdir(parents=True, exist_ok=True)
    args.output_path.write_text(json.dumps(result, indent=1) + '\n')
    print(json.dumps(result))


if __name__ == '__main__':
    main()
