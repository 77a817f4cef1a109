"""Pods without a cluster: a directory of Kubernetes manifests, re-read whenever it changes.

`documents` reads the text of one file, `workloads` makes pods of an object, `placement` gives pods
nodes and addresses, `contents` remembers what each file said, `directory` compares what there is
with what there was. These are pure; `files` reads the disk and `source` watches it.
"""
