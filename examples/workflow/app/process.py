"""Cleans a log of deliveries and says what was wrong with it. Takes no flags."""
from collections import defaultdict

import deliveries

MOST_DROPPED = 0.10  # more faults than this, and the log is not worth training on


def main():
    raw = deliveries.generate()
    rows, dropped = deliveries.clean(raw)
    print(f'{len(raw)} rows read, {len(rows)} kept')
    for why, n in dropped.most_common():
        print(f'  dropped {n:4}  {why}')

    trips = defaultdict(list)
    for row in rows:
        trips[row['boat']].append(row)
    for boat, own in sorted(trips.items()):
        late = sum(r['late'] for r in own) / len(own)
        km = sum(r['distance_km'] for r in own) / len(own)
        print(f'{boat:7} {len(own):5} trips, {km:5.1f} km on average, {late:4.0%} late')

    if dropped.total() > MOST_DROPPED * len(raw):
        raise SystemExit(f'{dropped.total()} of {len(raw)} rows are faulty: more than {MOST_DROPPED:.0%}')


if __name__ == '__main__':
    main()
