-- Actions of an MLModel, as the state of this object allows them.
-- The version that `rollback` sets: see its script.
local function previous()
  if obj.status == nil then
    return nil
  end
  if obj.status.candidate ~= nil and obj.status.stable ~= nil then
    return obj.status.stable
  end
  local is_older = false
  for _, version in ipairs(obj.status.versions or {}) do
    if is_older and version.outcome == "Retired" then
      return version.name
    end
    is_older = is_older or version.name == obj.status.stable
  end
  return nil
end

local paused = obj.spec.paused == true
local pinned = obj.spec.version ~= nil
local actions = {}
actions["pause"] = { disabled = paused, iconClass = "fa fa-fw fa-pause" }
actions["resume"] = { disabled = not paused, iconClass = "fa fa-fw fa-play" }
actions["rollback"] = { disabled = previous() == nil, iconClass = "fa fa-fw fa-undo" }
actions["unpin"] = { disabled = not pinned, iconClass = "fa fa-fw fa-unlock" }
return actions
