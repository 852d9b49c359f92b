-- Health of an MLModelVersion: a candidate is on its way, a rejected one has failed.
local outcome = obj.status and obj.status.outcome or nil
if outcome == "Candidate" then
  return { status = "Progressing", message = "A rollout moves traffic to this version" }
end
if outcome == "Rejected" then
  return { status = "Degraded", message = "The rollout of this version has failed" }
end
return { status = "Healthy", message = outcome or "" }
