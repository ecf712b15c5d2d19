"""Many independent jobs on many workers: a journal, retries, and one summary.

joblib runs the jobs: worker processes of this machine (``loky``), or a cluster through joblib's own
backends (``ray``, ``dask``). A job is a picklable function of one picklable payload that leaves
either its whole result or nothing, so that doing it twice does no harm. Then

* a job that fails is named in the summary and stops no other;
* a worker that dies takes nothing along but the jobs in its hands, which are done again, and a job
  on which workers die time after time counts as failed;
* a run that is killed goes on where the journal ends;
* results do not depend on the number of workers, because each job computes with the same number of
  threads.
"""

from veridical.batch.engine import Engine
from veridical.batch.run import run_batch
from veridical.batch.tasks import Journal, Outcome, Summary, Task

__all__ = ["Engine", "Journal", "Outcome", "Summary", "Task", "run_batch"]
