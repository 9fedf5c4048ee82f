"""A log of river deliveries, made from a seed, with the faults that real logs have.

Standard library only, so that a step with a fifth of a CPU starts at once.
"""
import math
import random
from collections import Counter

FIELDS = ['id', 'boat', 'weekday', 'hour', 'distance_km', 'parcels', 'wind_ms', 'tide', 'late']
BOATS = ['barge', 'skiff', 'wherry']
SPEED_KMH = {'barge': 7.0, 'skiff': 11.0, 'wherry': 9.0}

# What a delivery can be; anything else is a typing error or a broken sensor.
RANGES = {'weekday': (0, 6), 'hour': (0, 23), 'distance_km': (0.5, 40.0), 'parcels': (1, 60),
          'wind_ms': (0.0, 30.0), 'tide': (-1.0, 1.0), 'late': (0, 1)}


def generate(n=6000, seed=7):
    """Returns about n rows of text, as a CSV file would hold them; some 6 % are faulty."""
    rng = random.Random(seed)
    rows = []
    for i in range(n):
        boat = rng.choice(BOATS)
        row = {'id': i, 'boat': boat, 'weekday': rng.randrange(7), 'hour': rng.randrange(5, 22),
               'distance_km': round(rng.uniform(1, 30), 1), 'parcels': rng.randrange(1, 41),
               'wind_ms': round(rng.weibullvariate(7, 2), 1), 'tide': round(rng.uniform(-1, 1), 2)}
        row['late'] = int(rng.random() < chance_of_late(row))
        rows.append(break_one({k: str(v) for k, v in row.items()}, rng))
        if rng.random() < 0.01:
            rows.append(dict(rows[-1]))  # sent twice
    return rows


def chance_of_late(row):
    """The truth that a model has to find: hours under way against what was promised."""
    speed = SPEED_KMH[row['boat']] + 3.0 * row['tide'] - 0.25 * max(0.0, row['wind_ms'] - 6)
    hours = row['distance_km'] / max(speed, 2.0) + 0.03 * row['parcels']
    rush = 0.6 if row['hour'] in (7, 8, 16, 17, 18) and row['weekday'] < 5 else 0.0
    return 1 / (1 + math.exp(-4.0 * (hours + rush - 2.6)))


def break_one(row, rng):
    """Returns the row with one fault, or mostly as it is."""
    fault = rng.random()
    if fault < 0.02:
        row[rng.choice(FIELDS[2:])] = ''
    elif fault < 0.03:
        row['distance_km'] = str(rng.choice([-1, 0, 9999]))
    elif fault < 0.04:
        row['wind_ms'] = 'n/a'
    elif fault < 0.06:
        row['boat'] = f' {row["boat"].upper()} '  # harmless: clean() mends it
    return row


def clean(rows):
    """Returns the usable rows with numbers for text, and a Counter of why the others were dropped."""
    kept, dropped, seen = [], Counter(), set()
    for raw in rows:
        row = {'id': raw['id'], 'boat': raw['boat'].strip().lower()}
        if row['id'] in seen:
            dropped['duplicate'] += 1
            continue
        seen.add(row['id'])
        if row['boat'] not in BOATS:
            dropped['unknown boat'] += 1
            continue
        fault = None
        for name, (low, high) in RANGES.items():
            try:
                row[name] = float(raw[name])
            except ValueError:
                fault = f'{name} missing' if not raw[name] else f'{name} not a number'
                break
            if not low <= row[name] <= high:
                fault = f'{name} out of range'
                break
        if fault:
            dropped[fault] += 1
        else:
            kept.append(row)
    return kept, dropped


def features(row):
    """Returns what a model may see of a clean row, all numbers. Wind hurts most against the tide."""
    out = {name: row[name] for name in FIELDS[2:-1]}
    out['wind_against_tide'] = round(row['wind_ms'] * max(0.0, -row['tide']), 3)
    out['workday'] = float(row['weekday'] < 5)
    for boat in BOATS:
        out[f'is_{boat}'] = float(row['boat'] == boat)
    return out
