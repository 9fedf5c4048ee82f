"""Cleans the log of deliveries and turns it into a table of numbers.

    preprocess.py --input-path /data/raw --output-path /data/processed

The input is a CSV file or a folder of them; where nothing is there, the log is generated. The output is a
folder with table.csv: one row per delivery, the features and `late`.
"""
import argparse
import csv
import pathlib

import deliveries


def read(path):
    files = sorted(path.glob('*.csv')) if path.is_dir() else [path] if path.exists() else []
    if not files:
        print(f'nothing at {path}: generating a log')
        return deliveries.generate()
    rows = []
    for file in files:
        with open(file, newline='') as f:
            rows += csv.DictReader(f)
    return rows


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--input-path', type=pathlib.Path, required=True)
    parser.add_argument('--output-path', type=pathlib.Path, required=True)
    args = parser.parse_args()

    rows, dropped = deliveries.clean(read(args.input_path))
    table = [{**deliveries.features(row), 'late': int(row['late'])} for row in rows]
    args.output_path.mkdir(parents=True, exist_ok=True)
    with open(args.output_path / 'table.csv', 'w', newline='') as f:
        writer = csv.DictWriter(f, fieldnames=list(table[0]))
        writer.writeheader()
        writer.writerows(table)
    print(f'kept {len(table)} deliveries, dropped {dropped.total()}, {len(table[0]) - 1} features')


if __name__ == '__main__':
    main()
