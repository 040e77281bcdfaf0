"""The inside of a trained recurrent encoder: how far gradients reach, what the gates do.

    recording   every cell of an encoder run step by step, its states and gates noted
    gradients   norms of the gradient of a loss with respect to earlier states
    jacobians   how much one step can stretch or shrink a difference between states
    gates       histograms, and units that are stuck
    alarms      what is wrong, in words
    diagnosis   all of these for a model and a sample of sequences
    traces      gates and states of single sequences, in reading order

Everything is computed by the reference loop: no kernel is trusted here.
"""
