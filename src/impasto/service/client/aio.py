"""The client for programs with an event loop: `impasto.service.client.sync`, each call awaited."""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from impasto.service import schemas
from impasto.service.client import calls
from impasto.service.client.calls import Call, RecipeValues
from impasto.service.client.connection import Connection
from impasto.service.client.events import ENDED, MAX_FAILURES, READ_TIMEOUT, Event, EventReader, patience

T = TypeVar("T")

Picture = str | Path
"""A file to upload (a `Path`), or the id of a picture that is there already (text)."""


class AsyncClient:
    """Talks to a service; use it as a context, or call `close`.

        async with AsyncClient() as client:
            job = await client.submit(Path("photo.jpg"), ["example:oil"], {"height": 600})
            await client.save_result(job.id, Path("painted.png"))

    Args:
        url: Of the service; ``IMPASTO_URL`` where none is given, else this machine's.
        key: An API key; ``IMPASTO_KEY`` where none is given. A service on this machine may need none.
        timeout: Seconds to wait for an answer.
        transport: How requests travel, for tests.

    Raises:
        RefusedError: By every method, if the service refuses the request; its sentence says why.
        ServiceError: If it fails, or does not answer.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        timeout: float = 60.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._connection = Connection(url, key, timeout)
        self._http = httpx.AsyncClient(transport=transport, **self._connection.options)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    # pictures

    async def upload(self, path: Path, name: str | None = None) -> schemas.Image:
        """Uploads a picture; the same bytes are kept once.

        Raises:
            ImageError: If the file cannot be read.
        """
        data, own_name = await asyncio.to_thread(calls.read_picture, path)
        return await self._do(calls.upload(data, name or own_name))

    async def image(self, image_id: str) -> schemas.Image:
        """An uploaded picture."""
        return await self._do(calls.image(image_id))

    async def delete_image(self, image_id: str) -> None:
        """Deletes a picture that no job needs."""
        await self._do(calls.delete_image(image_id))

    async def examples(self) -> list[schemas.Example]:
        """The bundled pictures."""
        return await self._do(calls.examples())

    # new jobs

    async def submit(
        self,
        content: Picture,
        styles: Sequence[Picture],
        recipe: RecipeValues | None = None,
        *,
        idempotency_key: str | None = None,
        **options: Any,
    ) -> schemas.Job:
        """Makes a job.

        Args:
            content: The content picture; a `Path` is uploaded first.
            styles: Style pictures, likewise.
            recipe: A `Recipe`, or its values by name; what is not said has its default.
            idempotency_key: The same key makes the job but once, however often this is called.
            options: Of `impasto.service.schemas.JobRequest`, as ``name="Coffee"``, ``priority=9``.
        """
        return await self._do(calls.submit(await self._body(content, styles, recipe, options), idempotency_key))

    async def check(
        self, content: Picture, styles: Sequence[Picture], recipe: RecipeValues | None = None, **options: Any
    ) -> schemas.Check:
        """What a job would be: its recipe, warnings, memory, time, command line."""
        return await self._do(calls.check(await self._body(content, styles, recipe, options)))

    async def sweep(
        self,
        content: Picture,
        styles: Sequence[Picture],
        vary: Mapping[str, Sequence[Any]],
        recipe: RecipeValues | None = None,
        **options: Any,
    ) -> schemas.Job:
        """One job for each combination of values, as ``{"strength": [10, 50, 90]}``; returns their parent."""
        body = await self._body(content, styles, recipe, options)
        body["vary"] = {name: list(values) for name, values in vary.items()}
        return await self._do(calls.sweep(body))

    async def batch(
        self, contents: Sequence[Picture], styles: Sequence[Picture], recipe: RecipeValues | None = None, **options: Any
    ) -> schemas.Job:
        """One job for each content; returns their parent."""
        body = await self._body("", styles, recipe, options)
        del body["content"]
        body["contents"] = [await self._id(content) for content in contents]
        return await self._do(calls.batch(body))

    # jobs

    async def job(self, job_id: str) -> schemas.Job:
        """One job."""
        return await self._do(calls.job(job_id))

    async def jobs(
        self,
        *,
        state: str | None = None,
        kind: str | None = None,
        search: str | None = None,
        parent_id: str | None = None,
    ) -> AsyncIterator[schemas.Job]:
        """Jobs, the newest first, page by page as they are asked for."""
        params: dict[str, Any] = {
            "state": state, "kind": kind, "search": search, "parent_id": parent_id, "limit": 100,
        }  # fmt: skip
        while True:
            page = await self._do(calls.jobs(params))
            for job in page.items:
                yield job
            if page.next_cursor is None:
                return
            params["cursor"] = page.next_cursor

    async def rename(self, job_id: str, name: str) -> schemas.Job:
        """Gives a job another name."""
        return await self._do(calls.rename(job_id, name))

    async def pause(self, job_id: str) -> schemas.Job:
        """Halts a running job."""
        return await self._do(calls.act(job_id, "pause"))

    async def resume(self, job_id: str) -> schemas.Job:
        """Lets a paused job go on."""
        return await self._do(calls.act(job_id, "resume"))

    async def stop(self, job_id: str) -> schemas.Job:
        """Ends a job and keeps its best picture."""
        return await self._do(calls.act(job_id, "stop"))

    async def cancel(self, job_id: str) -> schemas.Job:
        """Ends a job and keeps nothing."""
        return await self._do(calls.act(job_id, "cancel"))

    async def retry(self, job_id: str) -> schemas.Job:
        """Lets a failed or cancelled job begin once more."""
        return await self._do(calls.act(job_id, "retry"))

    async def change(self, job_id: str, **values: float) -> schemas.Job:
        """Changes a job that goes on, as ``strength=70``; see `impasto.recipe.LIVE_TUNABLE`."""
        return await self._do(calls.change(job_id, values))

    async def again(
        self,
        job_id: str,
        recipe: RecipeValues | None = None,
        *,
        content: Picture | None = None,
        styles: Sequence[Picture] | None = None,
        name: str | None = None,
    ) -> schemas.Job:
        """Makes a new job like another one, with some values changed."""
        body: dict[str, Any] = {"recipe": calls.values_of(recipe)}
        if content is not None:
            body["content"] = await self._id(content)
        if styles is not None:
            body["styles"] = [await self._id(style) for style in styles]
        if name is not None:
            body["name"] = name
        return await self._do(calls.again(job_id, body))

    async def delete(self, job_id: str) -> None:
        """Deletes a job; `restore` undoes it for a while."""
        await self._do(calls.delete(job_id))

    async def restore(self, job_id: str) -> schemas.Job:
        """Takes a deletion back."""
        return await self._do(calls.act(job_id, "restore"))

    # what jobs leave

    async def wait(self, job_id: str, timeout: float | None = None) -> schemas.Job:
        """Waits until a job has ended, whichever way; returns it as it then is.

        Raises:
            TimeoutError: If it still goes on after so many seconds.
        """
        end = None if timeout is None else time.monotonic() + timeout
        read_timeout = READ_TIMEOUT if timeout is None else min(READ_TIMEOUT, max(timeout, 0.1))
        async for event in self.events(job_id, read_timeout=read_timeout):
            if event is None or event.name == "job":
                job = await self.job(job_id)
                if job.state in ENDED:
                    return job
            if end is not None and time.monotonic() > end:
                break
        raise TimeoutError(f"The job {job_id} still goes on after {timeout:g} s.")

    async def result(self, job_id: str, *, format: str = "png", wait: float = 0) -> bytes:
        """The painted picture's file.

        Args:
            job_id: Of a job.
            format: ``"png"``, ``"jpeg"``, ``"webp"`` or ``"tiff"``.
            wait: Seconds to wait for it at most.
        """
        return await self._do(calls.content(f"/jobs/{job_id}/result", format=format, wait=wait), more_seconds=wait)

    async def save_result(self, job_id: str, path: Path, *, timeout: float | None = None) -> schemas.Job:
        """Waits for a job and writes its picture; the suffix says the format.

        Raises:
            OutputError: If the file cannot be written.
        """
        from impasto.formats.files import replace_file

        job = await self.wait(job_id, timeout)
        replace_file(path, await self.result(job_id, format=calls.format_of(path)))
        return job

    async def archive(self, job_id: str, path: Path) -> None:
        """Writes a ZIP of all that a job has made."""
        from impasto.formats.files import replace_file

        with self._connection.errors(), tempfile.SpooledTemporaryFile(max_size=1 << 24) as whole:
            async with self._http.stream("GET", f"/jobs/{job_id}/archive") as response:
                if response.is_error:
                    await response.aread()
                    raise calls.error_of(response)
                async for part in response.aiter_bytes():
                    whole.write(part)
            whole.seek(0)
            await asyncio.to_thread(replace_file, path, iter(lambda: whole.read(1 << 20), b""))

    async def pictures(self, job_id: str) -> list[schemas.IntermediatePicture]:
        """The pictures in between."""
        return await self._do(calls.pictures(job_id))

    async def picture(self, job_id: str, iteration: int) -> bytes:
        """The file of one picture in between."""
        return await self._do(calls.content(f"/jobs/{job_id}/pictures/{iteration}"))

    async def losses(self, job_id: str) -> list[schemas.LossPoint]:
        """The losses so far."""
        return await self._do(calls.losses(job_id))

    async def recipe_toml(self, job_id: str) -> str:
        """The recipe as a file for ``--recipe``."""
        return await self._do(calls.text(f"/jobs/{job_id}/recipe.toml"))

    async def command(self, job_id: str) -> schemas.CommandLine:
        """The command line that paints the same."""
        return await self._do(calls.command(job_id))

    # the service

    async def events(
        self, job_id: str | None = None, *, after: int | None = None, read_timeout: float = READ_TIMEOUT
    ) -> AsyncIterator[Event | None]:
        """Follows one job, or all; comes back after a lost connection and misses nothing.

        Args:
            job_id: Of one job.
            after: The last event that is known; by default only those to come.
            read_timeout: Seconds of silence after which None is handed out, and the connection made anew.
        """
        reader = EventReader(after)
        path = f"/jobs/{job_id}/events" if job_id else "/events"
        timeout = httpx.Timeout(self._connection.timeout, read=read_timeout)
        num_failures = 0
        while True:
            headers = {} if reader.last_id is None else {"Last-Event-ID": str(reader.last_id)}
            try:
                async with self._http.stream("GET", path, headers=headers, timeout=timeout) as response:
                    if response.is_error:
                        await response.aread()
                        raise calls.error_of(response)
                    yield None
                    async for line in response.aiter_lines():
                        num_failures = 0
                        if event := reader.take(line):
                            yield event
            except httpx.ReadTimeout:
                pass
            except httpx.TransportError as error:
                num_failures += 1
                if num_failures > MAX_FAILURES:
                    raise calls.unreachable(self._connection.url, error) from None
                await asyncio.sleep(patience(num_failures))
            reader.break_off()

    async def models(self) -> list[schemas.ModelInfo]:
        """The encoders, and whether their weights are there."""
        return await self._do(calls.models())

    async def download_model(self, name: str) -> schemas.ModelInfo:
        """Lets the service fetch weights."""
        return await self._do(calls.download_model(name))

    async def version(self) -> schemas.Version:
        """The service's version."""
        return await self._do(calls.version())

    async def _do(self, call: Call[T], more_seconds: float = 0) -> T:
        timeout = self._connection.timeout + more_seconds
        with self._connection.errors():
            response = await self._http.request(call.method, call.path, timeout=timeout, **call.options)
        return call.result(response)

    async def _id(self, picture: Picture) -> str:
        return (await self.upload(picture)).id if isinstance(picture, Path) else picture

    async def _body(
        self, content: Picture, styles: Sequence[Picture], recipe: RecipeValues | None, options: Mapping[str, Any]
    ) -> dict[str, Any]:
        options = {
            name: [await self._id(mask) for mask in value] if name in ("content_masks", "style_masks")
            else await self._id(value) if name == "lock_mask" else value
            for name, value in options.items()
            if value is not None
        }  # fmt: skip
        return calls.job_body(await self._id(content), [await self._id(style) for style in styles], recipe, options)
