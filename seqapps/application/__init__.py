"""What a user asks for, one call each. Importing this imports torch; `seqapps` itself offers the same lazily."""

from seqapps.application.diagnosing import diagnose
from seqapps.application.measuring import evaluate
from seqapps.application.planning import format_plan, missing_data, plan
from seqapps.application.reporting import report
from seqapps.application.running import load, run
from seqapps.application.tracing import trace

__all__ = ["diagnose", "evaluate", "format_plan", "load", "missing_data", "plan", "report", "run", "trace"]
