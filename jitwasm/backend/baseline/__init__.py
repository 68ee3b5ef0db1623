"""The baseline tier: machine code for x86-64 straight from a validated body, in one pass.

It is position-independent, refers to nothing but vmctx and itself, and follows the calling
convention of `jitwasm.abi`, so that functions of both tiers call each other. Here is no frontend:
the instruction table and the module's declarations come as plain data.
"""
