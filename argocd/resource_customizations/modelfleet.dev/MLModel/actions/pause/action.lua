-- Rollouts stop; scaling and repairs go on.
obj.spec.paused = true
return obj
