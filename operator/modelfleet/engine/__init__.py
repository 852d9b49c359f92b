"""The loops of the operator: turns (`model`) and the scaling pass (`scaling`).

`model` and `scaling` never import each other. Both import `ports` and exchange values through
`handover`.
"""
