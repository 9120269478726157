"""One file on its way to Google Cloud Storage, where an upload in parts has its condition from the beginning."""

from typing import TYPE_CHECKING

from connectors.shared.objects import ConditionFailed, Session
from connectors.shared.objects_upload import ObjectUpload
from connectors.shared.tree import Incoming

if TYPE_CHECKING:
    from connectors.gcs.connector import GcsConnector


class GcsUpload(ObjectUpload):
    """See `connectors.shared.tree.Upload`."""

    def __init__(self, connector: "GcsConnector", file: Incoming) -> None:
        super().__init__(connector, file)
        self._connector = connector

    async def _begun(self) -> Session:
        condition = await self._condition()
        try:
            return await self._connector.service.begin(self._key, self._facts(None), self._file.size_bytes, condition)
        except ConditionFailed as error:
            raise self._changed() from error
