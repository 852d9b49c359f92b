-- Actions of an MLModel, as the state of this object allows them.
local function previous()
  for _, version in ipairs(obj.status and obj.status.versions or {}) do
    if version.outcome == "Retired" then
      return version.name
    end
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
