"""How far a request looks: decided for its own query, under its own filter.

What is expected of each bucket is read off the query and the bucket's statistics (`shapes`,
`tail`); how much is then missing where a request stops is learned at tuning time in situations
harder than those that documents are in (`situations`, `fitting`), by a small network
(`regression`), and held against exact answers of the whole index (`adjusting`). Learned early
termination of approximate search: Li et al., "Improving Approximate Nearest Neighbor Search
through Learned Adaptive Early Termination", SIGMOD 2020; stopping for a declared recall: Chatzakis
et al., "DARTH: Declarative Recall Through Early Termination for Approximate Nearest Neighbor
Search", SIGMOD 2026.
"""
