"""Verbs that keep things in order: lock, doctor."""

from __future__ import annotations

import click

from simbench.cli.common import (
    FAILED,
    INTEGRITY,
    PASS,
    emit,
    example,
    force_option,
    json_option,
    one_line,
    page,
    progress,
)


@click.command(epilog=example("simbench lock --check", "simbench lock"))
@click.option("--check", "only_check", is_flag=True, help="Write nothing, only compare.")
@force_option
@json_option
@click.pass_context
def lock(context: click.Context, only_check: bool, force: bool, as_json: bool) -> None:
    """Compare the shipped scenarios with LOCK.json, and renew it.

    Exit code 5: numbers moved while the digest stayed; nothing is written then, except with --force.
    Exit code 1, with --check: an entry is missing or stale.
    """
    from simbench import lock as locks
    from simbench.run.hosts import prepare_process

    prepare_process()
    path = locks.lock_path()
    faults = []
    if only_check or path.is_file():
        with progress("comparing", quiet=as_json) as say:
            faults = locks.check(say)
    moved = any(fault.moved for fault in faults)
    writes = not only_check and (force or not moved)
    if writes:
        with progress("writing", quiet=as_json) as say:
            locks.write(say)
    code = INTEGRITY if moved and not writes else FAILED if faults and only_check else PASS
    if as_json:
        emit({"file": str(path), "written": writes, "faults": faults, "ok": code == PASS})
    else:
        console = page()
        for fault in faults:
            console.print(f"{'moved' if fault.moved else 'stale'}: {fault.scenario} {one_line(fault.detail)}")
        done = "wrote" if writes else "agrees with the scenarios:" if not faults else "does not hold:"
        console.print(f"{done} {path}")
    context.exit(code)


@click.command(epilog=example("simbench doctor"))
@json_option
def doctor(as_json: bool) -> None:
    """Say what this machine has: versions, cores, folders, the lock."""
    from simbench.doctor import examine

    found = examine()
    if as_json:
        emit({"findings": found})
        return
    console = page()
    width = max(len(finding.name) for finding in found) + 2
    for finding in found:
        console.print(f"{finding.name:<{width}}{one_line(finding.value)}")
