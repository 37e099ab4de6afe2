"""Reads a run's event files with TensorBoard's own reader and compares them with the run's metrics.jsonl.

    python tensorboard_read.py RUN

Every figure of every record must be there once, equal in float32; a list must be a histogram with its elements as the
heights of the bars. Exits with 1 at the first difference.
"""
import json
import os
import struct
import sys

from tensorboard.backend.event_processing import event_accumulator


def float32(value):
    return struct.unpack('<f', struct.pack('<f', value))[0]


def main(run):
    with open(os.path.join(run, 'metrics.jsonl')) as file:
        records = [json.loads(line) for line in file if line.strip()]
    events = event_accumulator.EventAccumulator(run, size_guidance={'scalars': 0, 'histograms': 0, 'tensors': 0})
    events.Reload()
    scalars = {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()['scalars']}
    histograms = {
        tag: [(e.step, list(e.histogram_value.bucket)) for e in events.Histograms(tag)]
        for tag in events.Tags()['histograms']
    }
    expected_scalars, expected_histograms = {}, {}
    for record in records:
        for name, value in record.items():
            if name == 'step' or value is None:
                continue
            if isinstance(value, list):
                expected_histograms.setdefault(name, []).append((record['step'], value))
            else:
                expected_scalars.setdefault(name, []).append((record['step'], float32(value)))
    for what, found, expected in (('scalars', scalars, expected_scalars), ('histograms', histograms, expected_histograms)):
        for tag in sorted(found.keys() | expected.keys()):
            if found.get(tag) != expected.get(tag):
                sys.exit(f'{run}: the {what} of {tag} differ: {found.get(tag)} is not {expected.get(tag)}')
    print(f'{run}: {len(records)} records, {len(scalars)} scalars and {len(histograms)} histograms: all equal')


if __name__ == '__main__':
    main(sys.argv[1])
