"""The database that a study is kept in: opened, locked by whoever writes to it, its failures told in words."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from netspec.base.errors import UsageError
from netspec.base.extras import library
from netspec.save.atomic import SaveError
from netspec.ui.sweep.order import Order, own_storage

ATTEMPTS, PAUSE_SECONDS = 4, 0.3
"""How often a database is opened before that is given up, and what is waited between."""
LOCK_SECONDS = 60
"""How long a process waits for another that writes to the same SQLite file."""
EXTRA = "sweep"
DRIVERS = {"psycopg2": "psycopg2-binary", "psycopg": "'psycopg[binary]'", "MySQLdb": "mysqlclient", "pymysql": "pymysql"}
"""What SQLAlchemy reads databases with by the module that it looks for, and what pip installs for it."""


def optuna() -> Any:
    """The library, which says nothing of its own. Raises UsageError without the extra `sweep`."""
    found = library("optuna", EXTRA)
    found.logging.set_verbosity(found.logging.CRITICAL)
    return found


def require_extra() -> None:
    """Raises UsageError where Optuna is missing, or what it keeps a study with."""
    optuna()
    library("sqlalchemy", EXTRA)
    library("alembic.migration", EXTRA)


@contextmanager
def quietly() -> Iterator[None]:
    """Without Optuna's words on signs of life, which it calls experimental."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna().exceptions.ExperimentalWarning)
        yield


@contextmanager
def told_of_storage(order: Order) -> Iterator[None]:
    """Raises SaveError where the database fails within: its disk is full, it may not be written to, its server is gone."""
    failures = optuna().exceptions.StorageInternalError, library("sqlalchemy", EXTRA).exc.SQLAlchemyError
    try:
        yield
    except failures as error:
        cause = error.__cause__ or error
        words = " ".join(str(getattr(cause, "orig", None) or cause).split())
        raise SaveError(f"{shown_url(order)}: the study cannot be read or written: {words[:300]}") from None


def shown_url(order: Order) -> str:
    """The database without its password."""
    url: str = library("sqlalchemy", EXTRA).make_url(order.storage).render_as_string(hide_password=True)
    return url


def open_storage(order: Order, take_up: Callable[[Any, Any], None], *, is_made: bool = False) -> Any:
    """The database, made where it is new; `is_made` where a process has seen to that, and that Optuna can read it. `take_up` is called
    with the study and a trial that shows no sign of life. Raises UsageError where it cannot be opened."""
    found = optuna()
    sqlalchemy = library("sqlalchemy", EXTRA)
    try:
        url = sqlalchemy.make_url(order.storage)
    except sqlalchemy.exc.ArgumentError:
        raise UsageError(f"--storage {order.storage}: is no database's URL, such as sqlite:///study.db or postgresql://host/name") from None
    is_file = url.get_backend_name() == "sqlite"
    waits = {"connect_args": {"timeout": LOCK_SECONDS}} if is_file else {"pool_pre_ping": True}
    for attempt in range(ATTEMPTS):
        try:
            with quietly():
                storage = found.storages.RDBStorage(
                    order.storage, engine_kwargs=waits, heartbeat_interval=order.heartbeat, grace_period=3 * order.heartbeat,
                    heartbeat_stale_trial_callback=take_up, skip_table_creation=is_made, skip_compatibility_check=is_made,
                )  # fmt: skip
            break
        except ImportError as error:
            raise UsageError(f"--storage {shown_url(order)}: {_of_driver(error)}") from None
        except (sqlalchemy.exc.SQLAlchemyError, found.exceptions.StorageInternalError, RuntimeError) as error:
            if attempt + 1 < ATTEMPTS:
                time.sleep(PAUSE_SECONDS)  # two processes that make the same tables are in each other's way
                continue
            words = " ".join(str(getattr(error, "orig", None) or error).split())
            if order.storage == own_storage(order.trials):
                raise SaveError(f"{order.trials / 'study.db'}: the study cannot be written: {words[:300]}") from None
            raise UsageError(f"--storage {shown_url(order)}: cannot be opened: {words[:300]}") from None
    if is_file:
        _lock_when_begun(storage.engine)
    return storage


def _of_driver(error: ImportError) -> str:
    """What is said where the library that reads the database is missing."""
    module = getattr(error.__cause__, "name", None)
    if not module:
        return f"cannot be opened: {' '.join(str(error).split())[:300]}"
    return f"this database is read with {module}: pip install {DRIVERS.get(module, module)}"


def _lock_when_begun(engine: Any) -> None:
    """SQLite locks a file when it is first written to, so that two processes could read that a trial waits, and both take it: every
    transaction locks it from its beginning instead."""
    event = library("sqlalchemy", EXTRA).event
    event.listen(engine, "connect", _without_own_transactions)
    event.listen(engine, "begin", _begin)
    engine.dispose()  # connections that were made without


def _without_own_transactions(connection: Any, _record: Any) -> None:
    connection.isolation_level = None


def _begin(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
