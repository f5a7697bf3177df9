"""What an engine hands over: a mart's rows, in the same form and order whichever engine computed them."""

import io
from dataclasses import dataclass
from datetime import date
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from neople_timeline.catalogue import Mart


@dataclass(frozen=True)
class MartResult:
    """A mart's rows for whole periods, sorted by its keys."""

    mart: Mart
    table: pa.Table

    def select_period(self, period: date) -> pa.Table:
        """Give the rows of one period."""
        column = self.table.column(self.mart.period)
        return self.table.filter(pc.equal(column, pa.scalar(period, pa.date32())))


def shape_result(mart: Mart, table: pa.Table) -> pa.Table:
    """Bring an engine's answer into the mart's columns, types and order, so that equal rows are equal bytes."""
    if unlike := set(table.column_names) ^ {column.name for column in mart.columns}:
        raise ValueError(f"{mart.name}.sql: header and SELECT have not both of them: {', '.join(sorted(unlike))}")
    shaped = table.select([column.name for column in mart.columns]).cast(mart.schema).combine_chunks()
    keys: list[tuple[str, Literal["ascending"]]] = [(key, "ascending") for key in mart.keys]
    return shaped.take(pc.sort_indices(shaped, sort_keys=keys))


def encode_parquet(table: pa.Table) -> bytes:
    """Write rows as one Parquet file; equal rows give equal bytes."""
    buffer = io.BytesIO()
    pq.write_table(table.combine_chunks(), buffer, compression="zstd")
    return buffer.getvalue()
