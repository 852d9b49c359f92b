-- Serve the version before the stable one; `unpin` follows the spec again. During a rollout going
-- back means to stay at the stable version. `versions` has the newest first.
if obj.status.candidate ~= nil and obj.status.stable ~= nil then
  obj.spec.version = obj.status.stable
  return obj
end
local is_older = false
for _, version in ipairs(obj.status.versions or {}) do
  if is_older and version.outcome == "Retired" then
    obj.spec.version = version.name
    return obj
  end
  is_older = is_older or version.name == obj.status.stable
end
return obj
