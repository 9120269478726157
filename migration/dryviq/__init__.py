"""DryvIQ's jobs, read: the body of `POST v1/jobs` becomes the values of a job, and every field of it is accounted for.

Pure: plain values in, plain values and one line per field out. Field names and meanings are those of DryvIQ's public
REST documentation (https://dryviq.helpjuice.com) and of its command line's source
(https://github.com/portalarchitects/skysync-cli).
"""

from migration.dryviq.converting import Conversion, FieldReport, Verdict
from migration.dryviq.job import convert, is_dryviq

__all__ = ["Conversion", "FieldReport", "Verdict", "convert", "is_dryviq"]
