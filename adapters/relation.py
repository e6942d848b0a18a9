"""Results as DuckDB relations that are exact in pandas too.

DuckDB's own ``df()`` turns DECIMAL into float64, in which 10^36 - 1 is 10^36. Here such columns stay decimals, held by Arrow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
from duckdb import DuckDBPyRelation

from proofroom.domain.errors import MissingExtra

if TYPE_CHECKING:
    import pandas as pd


class Relation(DuckDBPyRelation):
    """A DuckDB relation; what is derived from it is one too."""

    __slots__ = ()

    @classmethod
    def of(cls, relation: DuckDBPyRelation) -> Relation:
        """The same relation, exact in pandas."""
        relation.__class__ = cls
        assert isinstance(relation, cls)
        return relation

    def df(self, *, date_as_object: bool = False) -> pd.DataFrame:
        """All rows as a pandas frame; columns of decimals and of 128-bit integers are ``decimal128(38, 0)[pyarrow]``.

        Raises:
            MissingExtra: pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError:
            raise MissingExtra(extra="pandas", package="pandas") from None

        def exact(kind: pa.DataType) -> Any:
            return pd.ArrowDtype(kind) if pa.types.is_decimal(kind) else None

        frame: pd.DataFrame = self.to_arrow_table().to_pandas(types_mapper=exact, date_as_object=date_as_object)
        return frame

    fetchdf = df
    to_df = df

    def _derive(self, *args: Any, **kwargs: Any) -> Relation:
        # DuckDB's own hook, in which filter(), join() and the rest end. Where another release has none, only the first relation is exact.
        derived: DuckDBPyRelation = super()._derive(*args, **kwargs)
        return Relation.of(derived)
