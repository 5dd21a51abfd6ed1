"""Run the plugin's algorithms in the real QGIS, many in one process; run by QGIS's own Python.

Usage: python3 toolbox.py SCENARIOS.json ANSWERS.json ENGINE_PYTHON

``SCENARIOS.json`` is a list of [name, scenario, arguments]; the answers are by name what the function
``scenario`` of this file returns, or {"error": text}.
"""

# ruff: noqa: N802, N803, N815, FBT003, BLE001 - names and signatures are QGIS's; every failure is an answer

import hashlib
import json
import os
import shutil
import sys
import time
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "qgis_plugin"), "/usr/share/qgis/python/plugins"]

from osgeo import gdal  # noqa: E402
from qgis.core import (  # noqa: E402 - QGIS's plugins are found only now
    QgsApplication,
    QgsCoordinateReferenceSystem,
    QgsFeature,
    QgsField,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeatureSourceDefinition,
    QgsProcessingFeedback,
    QgsProcessingModelAlgorithm,
    QgsProcessingModelChildAlgorithm,
    QgsProcessingModelChildParameterSource,
    QgsProcessingModelOutput,
    QgsProcessingOutputLayerDefinition,
    QgsProcessingUtils,
    QgsProject,
    QgsRasterLayer,
    QgsRasterRange,
    QgsSettings,
    QgsVectorLayer,
    QgsVectorLayerJoinInfo,
)
from qgis.PyQt.QtCore import QVariant  # noqa: E402


class Listening(QgsProcessingFeedback):
    """Keeps what is said, and cancels when told to."""

    def __init__(self, cancel_from=None):
        super().__init__(False)
        self.said, self.cancel_from, self.cancelled_at = [], cancel_from, None
        self.progressChanged.connect(self._progressed)

    def _progressed(self, percent):
        if self.cancel_from is not None and percent >= self.cancel_from and not self.isCanceled():
            self.cancelled_at = time.monotonic()
            self.cancel()

    def pushInfo(self, text):
        self.said.append(text)

    pushWarning = pushDebugInfo = pushConsoleInfo = setProgressText = pushInfo

    def reportError(self, text, fatalError=False):
        self.said.append(text)


def algorithm(name):
    return QgsApplication.processingRegistry().createAlgorithmById(f"cropseg:{name}")


def run(name, parameters, cancel_from=None):
    """An algorithm as the toolbox runs it: check, then run."""
    context, feedback = QgsProcessingContext(), Listening(cancel_from)
    context.setProject(QgsProject.instance())
    is_fine, message = algorithm(name).checkParameterValues(parameters, context)
    if not is_fine:
        return {"refused": message}
    results, is_done = algorithm(name).run(parameters, context, feedback, catchExceptions=False)
    since = time.monotonic() - feedback.cancelled_at if feedback.cancelled_at else None
    return {"results": results, "done": is_done, "said": feedback.said, "seconds_after_cancel": since,
            "percent": feedback.progress()}  # fmt: skip


def catalogue():
    """Ids, and for each algorithm its parameters with help, and what may be chosen."""
    provider = QgsApplication.processingRegistry().providerById("cropseg")
    return {
        alg.name(): {
            "parameters": {d.name(): d.help() for d in alg.parameterDefinitions()},
            "defaults": {d.name(): d.defaultValue() for d in alg.parameterDefinitions()},
            "choices": {d.name(): d.options() for d in alg.parameterDefinitions() if d.type() == "enum"},
            "outputs": [o.name() for o in alg.outputDefinitions()],
            "help": alg.shortHelpString(),
        }
        for alg in provider.algorithms()
    }


def batch(name, rows):
    """The same algorithm for several rows of parameters, as the batch dialog runs it."""
    alg, context = algorithm(name), QgsProcessingContext()
    return [alg.run(row, context, Listening(), catchExceptions=False)[0] for row in rows]


def job_of(name, parameters):
    """The job that an algorithm would give to the engine, or to the installer; neither is started."""
    from cropseg.algorithms import base, install_engine
    from cropseg.engine.protocol import Job

    class AskedError(Exception):
        pass

    def stop(job, *_, **__):
        raise AskedError(job)

    def stop_install(target, *, accelerator, wheels, **_):
        stop(Job("install", {"target": str(target), "accelerator": accelerator, "wheels": str(wheels)}))

    alg, context, install = algorithm(name), QgsProcessingContext(), install_engine.install
    alg.run_job, install_engine.install = stop, stop_install
    try:
        alg.prepareAlgorithm(parameters, context, Listening())
        alg.work(parameters, context, Listening())
    except AskedError as asked:
        job = json.loads(asked.args[0].to_json())
    finally:
        install_engine.install = install
    temporary = {
        key: Path(value).name
        for key, value in job["arguments"].items()
        if isinstance(value, str) and base.is_temporary(value)
    }
    return {"task": job["task"], "arguments": {**job["arguments"], **temporary}}


def with_engine(python, name, parameters):
    """The same with another engine in the settings; then it is as before."""
    before = QgsSettings().value("cropseg/engine_python")
    QgsSettings().setValue("cropseg/engine_python", python)
    try:
        return run(name, parameters)
    finally:
        QgsSettings().setValue("cropseg/engine_python", before)


def run_in_project(crs, name, parameters):
    """The same in a project with a CRS, or without one; then it is as before."""
    project = QgsProject.instance()
    before = project.crs()
    project.setCrs(QgsCoordinateReferenceSystem(crs))
    try:
        return run(name, parameters)
    finally:
        project.setCrs(before)


def guarded(files, name, parameters):
    """The answer of a run that might replace what it reads, and whether the files are as they were."""
    before = [Path(file).read_bytes() for file in files]
    answer = run_and_catch(name, parameters)
    return {**answer, "untouched": before == [Path(file).read_bytes() for file in files]}


def files_read(name, raster, path):
    """Files that a run reads, where its raster, or one of several, is a virtual one."""
    from cropseg.algorithms.sources import input_files

    gdal.BuildVRT(path, [raster]).FlushCache()
    return {"files": sorted(input_files(algorithm(name), {"INPUT": path}, QgsProcessingContext()))}


def run_and_catch(name, parameters):
    try:
        return run(name, parameters)
    except QgsProcessingException as err:
        return {"error": str(err)}


def in_memory(source, crs=None):
    """A copy of a layer that lives in memory only, perhaps in another CRS."""
    import processing

    target = crs or QgsVectorLayer(source, "source", "ogr").crs().authid()
    given = {"INPUT": source, "TARGET_CRS": target, "OUTPUT": "memory:"}
    return processing.run("native:reprojectlayer", given)["OUTPUT"]


def with_memory_layer(name, parameters, parameter, source):
    layer = in_memory(source)
    QgsProject.instance().addMapLayer(layer)
    return {**run(name, {**parameters, parameter: layer.id()}), "provider": layer.dataProvider().name()}


def stats_of(parameters, plots, how, value):
    """Statistics of plots from a layer as a user left it."""
    layer = in_memory(plots, value) if how == "memory" else QgsVectorLayer(plots, "trial", "ogr")
    QgsProject.instance().addMapLayer(layer)
    source = layer.id()
    listed = ", ".join(f"'{i}'" for i in value)
    chosen = f'"plot_id" IN ({listed})'
    if how == "selected":
        layer.selectByExpression(chosen)
        source = QgsProcessingFeatureSourceDefinition(layer.id(), selectedFeaturesOnly=True)
    elif how == "filtered":
        layer.setSubsetString(chosen)
    elif how == "edited":
        layer.startEditing()
        layer.selectByExpression(f"NOT {chosen}")
        layer.deleteSelectedFeatures()
    elif how == "assigned":
        layer.setCrs(QgsCoordinateReferenceSystem(value))
    elif how == "joined":
        join_sizes(layer)
    try:
        answer = run("plotstats", {**parameters, "PLOTS": source})
        return {**answer, "provider": layer.dataProvider().name(), "still edited": layer.isModified()}
    finally:
        layer.rollBack()
        QgsProject.instance().removeMapLayer(layer.id())


def job_of_selected(name, parameters, chosen, table):
    """The job where features of a table are selected, and the files that the run reads."""
    layer = QgsVectorLayer(parameters[table], table, "ogr")
    QgsProject.instance().addMapLayer(layer)
    layer.selectByExpression(chosen)
    alg, context = algorithm(name), QgsProcessingContext()
    context.setProject(QgsProject.instance())
    given = {**parameters, table: QgsProcessingFeatureSourceDefinition(layer.id(), selectedFeaturesOnly=True)}
    try:
        alg.prepareAlgorithm(given, context, Listening())
    finally:
        QgsProject.instance().removeMapLayer(layer.id())
    handed = alg._arguments[table.lower()]
    text = Path(handed).read_text(encoding="utf-8") if handed.endswith(".csv") else ""
    crs = QgsVectorLayer(handed, "handed", "ogr").crs().authid()
    return {"rows": text.splitlines(), "crs": crs, "files": sorted(alg.inputs)}


def join_sizes(layer):
    """A column of another layer's, by the plots' names, and one that is computed."""
    sizes = QgsVectorLayer("None?field=plot:string&field=dose:double", "sizes", "memory")
    sizes.startEditing()
    for feature in layer.getFeatures():
        row = QgsFeature(sizes.fields())
        row.setAttributes([feature["plot_id"], 1.5])
        sizes.addFeature(row)
    sizes.commitChanges()
    QgsProject.instance().addMapLayer(sizes)
    join = QgsVectorLayerJoinInfo()
    join.setJoinLayer(sizes)
    join.setJoinFieldName("plot")
    join.setTargetFieldName("plot_id")
    join.setPrefix("")
    layer.addJoin(join)
    layer.addExpressionField("'plot ' || \"plot_id\"", QgsField("label", QVariant.String))


def virtual_raster(raster, path, parameters):
    """A mask through a virtual raster over it."""
    gdal.BuildVRT(path, [raster]).FlushCache()
    return run("vectorize", {**parameters, "INPUT": path})


def packed_raster(raster, box, path):
    """An orthomosaic that is a layer of a GeoPackage, by its name, as QGIS's browser adds it."""
    left, bottom, right, top = box
    options = {"format": "GPKG", "projWin": [left, top, right, bottom]}
    gdal.Translate(path, raster, creationOptions=["RASTER_TABLE=flight", "TILE_FORMAT=PNG"], **options)
    layer = QgsRasterLayer(f"GPKG:{path}:flight", "flight")
    QgsProject.instance().addMapLayer(layer)
    return {**run("check", {"INPUT": layer.id()}), "valid": layer.isValid()}


def extent_in(text, raster, project_crs):
    """A job's bounding box for an extent in any CRS, or in the project's."""
    from cropseg.algorithms.sources import extent_of

    layer = QgsRasterLayer(raster, "raster")
    project, context = QgsProject(), QgsProcessingContext()
    project.setCrs(QgsCoordinateReferenceSystem(project_crs))
    context.setProject(project)
    return extent_of(algorithm("segment"), {"EXTENT": text}, "EXTENT", context, layer.crs())


def source_with_crs(raster, crs):
    """What the engine is given for a layer whose CRS the user set."""
    from cropseg.algorithms.sources import raster_source

    layer = QgsRasterLayer(raster, "raster")
    layer.setCrs(QgsCoordinateReferenceSystem(crs))
    source = raster_source(layer, Listening())
    seen = QgsRasterLayer(source, "seen")
    return {"source": source, "crs": seen.dataProvider().crs().authid()}


def source_with_nodata(raster):
    """What is said of a layer for which the user named a value that is no data."""
    from cropseg.algorithms.sources import raster_source

    layer, feedback = QgsRasterLayer(raster, "raster"), Listening()
    layer.dataProvider().setUserNoDataValue(1, [QgsRasterRange(0, 3)])
    raster_source(layer, feedback)
    return {"said": feedback.said}


def origins(mask):
    """What results are called after, made of a mask and of its copy that is a model's own."""
    from cropseg.algorithms.base import origin_of

    temporary = QgsProcessingUtils.generateTempFilename("OUTPUT.tif")
    shutil.copy(mask, temporary)
    return [origin_of(QgsRasterLayer(path, name)) for path, name in ((mask, "mine"), (temporary, "OUTPUT"))]


def chain(parameters):
    """A model of the designer: makeplots, whose plots go to plotstats."""
    model = QgsProcessingModelAlgorithm("chain", "chain")
    make, stats = (QgsProcessingModelChildAlgorithm(f"cropseg:{n}") for n in ("makeplots", "plotstats"))
    fixed = QgsProcessingModelChildParameterSource.fromStaticValue
    make.setChildId("make")
    for name, value in parameters["make"].items():
        make.addParameterSources(name, [fixed(value)])
    stats.setChildId("stats")
    for name, value in parameters["stats"].items():
        stats.addParameterSources(name, [fixed(value)])
    stats.addParameterSources(
        "PLOTS", [QgsProcessingModelChildParameterSource.fromChildOutput("make", "OUTPUT")]
    )
    output = QgsProcessingModelOutput("measured", "measured")
    output.setChildId("stats")
    output.setChildOutputName("OUTPUT")
    stats.setModelOutputs({"measured": output})
    model.addChildAlgorithm(make)
    model.addChildAlgorithm(stats)
    model.toFile(parameters["file"])
    context = QgsProcessingContext()
    (destination,) = [d.name() for d in model.destinationParameterDefinitions()]
    results, is_done = model.run({destination: parameters["out"]}, context, Listening())
    return {
        "done": is_done,
        "results": {k: v for k, v in results.items() if isinstance(v, str)},
        "destination": destination,
        "measured": parameters["out"],
        "file": parameters["file"],
    }


def load(name, parameters):
    """Run an algorithm and load its output into the project, as its dialog does."""
    from processing.gui.Postprocessing import handleAlgorithmResults

    project, context = QgsProject.instance(), QgsProcessingContext()
    context.setProject(project)
    given = {**parameters, "OUTPUT": QgsProcessingOutputLayerDefinition(parameters["OUTPUT"], project)}
    alg = algorithm(name)
    results, _ = alg.run(given, context, Listening(), catchExceptions=False)
    handleAlgorithmResults(alg, context, Listening(), parameters=given)
    return results


def replaced(name, *runs):
    """Features of the layers in the project after the same output was written several times."""
    project = QgsProject.instance()
    project.clear()
    results = [load(name, parameters) for parameters in runs]
    layers = project.mapLayers().values()
    return {"results": results, "features": [layer.featureCount() for layer in layers]}


def stands(first, second):
    """What layers in the project show after their files were replaced by a run that loads nothing."""
    project = QgsProject.instance()
    project.clear()
    before = run("pipeline", first)["results"]
    canopy, mask = QgsVectorLayer(before["CANOPY"], "canopy", "ogr"), QgsRasterLayer(before["MASK"], "mask")
    plots = QgsVectorLayer(before["PLOT_STATS"], "my plots", "ogr")
    project.addMapLayers([canopy, mask, plots])
    shown = [canopy.featureCount(), pixels(mask)]
    answer = run("pipeline", {**first, **second})
    after = answer["results"]
    afresh = pixels(QgsRasterLayer(after["MASK"], "afresh"))
    shows = [canopy.featureCount(), pixels(mask)]
    lost = {
        "plots are valid": plots.isValid(),
        # QGIS crashes here over a layer that is valid and has no provider that is.
        "extent of the plots": plots.extent().isEmpty(),
    }
    again = run("pipeline", {**first, "OVERWRITE": True})
    return {
        **lost,
        "before": shown,
        "after": shows,
        "written": [after["N_POLYGONS"], afresh],
        "said": answer["said"],
        "said again": again["said"],
        "plots that came back": plots.isValid() and plots.featureCount(),
    }


def pixels(layer):
    """A digest of what a raster layer shows."""
    block = layer.dataProvider().block(1, layer.extent(), layer.width(), layer.height())
    return hashlib.sha256(bytes(block.data())).hexdigest()


def loaded(name, parameters, group):
    """The layers of a run as they arrive in a project."""
    project = QgsProject.instance()
    project.clear()
    load(name, parameters)
    tree = project.layerTreeRoot()
    found = tree.findGroup(group)
    layers = [node.layer() for node in found.findLayers()] if found else []
    return {
        "groups": [g.name() for g in tree.findGroups()],
        "layers": [
            {
                "name": x.name(),
                "renderer": x.renderer().type(),
                "labels": x.labelsEnabled(),
                "played by": x.temporalProperties().isActive() and x.temporalProperties().startField(),
            }
            for x in layers
        ],
        "beside": len(tree.findLayers()) - len(layers),
    }


def main(scenarios, answers, engine):
    app = QgsApplication([], True)
    app.initQgis()
    from cropseg.provider import CropSegProvider
    from processing.core.Processing import Processing

    Processing.initialize()
    QgsSettings().setValue("cropseg/engine_python", engine)
    provider = CropSegProvider()
    QgsApplication.processingRegistry().addProvider(provider)
    told = {}
    for name, scenario, arguments in json.loads(Path(scenarios).read_text()):
        start = time.monotonic()
        try:
            told[name] = globals()[scenario](*arguments)
        except QgsProcessingException as err:
            told[name] = {"error": str(err)}
        except Exception:
            told[name] = {"broken": traceback.format_exc()}
        print(f"{name}: {time.monotonic() - start:.1f} s", flush=True)
    Path(answers).write_text(json.dumps(told, default=str))
    sys.stdout.flush()
    os._exit(0)  # QGIS 3.22 may crash while its Python objects are torn down.


if __name__ == "__main__":
    main(*sys.argv[1:])
