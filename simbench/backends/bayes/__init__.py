"""Bayesian mix models: a model is data, its log density one pure function, an engine another.

`models` lists the models, `density` is what they have in common, the engines (`laplace`, `hmc`, `nuts`)
know nothing but a log density, `pairs` makes contenders of any model and any engine.
"""
