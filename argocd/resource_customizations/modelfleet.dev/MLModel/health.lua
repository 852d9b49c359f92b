-- Health of an MLModel. The operator's conditions are the truth; this only translates them.
-- A model without replicas is healthy: the next request wakes it.
local function progressing(message)
  return { status = "Progressing", message = message }
end

if obj.status == nil or obj.status.conditions == nil then
  return progressing("Waiting for the operator")
end
if obj.status.observedGeneration ~= obj.metadata.generation then
  return progressing("Waiting for the operator to see the new spec")
end

local conditions = {}
for _, condition in ipairs(obj.status.conditions) do
  conditions[condition.type] = condition
end
local function is(kind, status)
  return conditions[kind] ~= nil and conditions[kind].status == status
end

if is("Stalled", "True") then
  return { status = "Degraded", message = conditions.Stalled.message }
end
if is("Degraded", "True") then
  return { status = "Degraded", message = conditions.Degraded.message }
end
if is("RolledOut", "False") and conditions.RolledOut.reason == "Paused" then
  return { status = "Suspended", message = conditions.RolledOut.message }
end
if is("Reconciling", "True") then
  return progressing(conditions.Reconciling.message)
end
if not is("RolledOut", "True") then
  return progressing(conditions.RolledOut and conditions.RolledOut.message or "")
end
if is("Available", "True") then
  return { status = "Healthy", message = conditions.Ready and conditions.Ready.message or "" }
end
return progressing(conditions.Available and conditions.Available.message or "")
