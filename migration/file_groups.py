"""Groups of file types that filters name: DryvIQ's seven, and those of construction.

DryvIQ's are listed as it lists them (https://dryviq.atlassian.net/wiki/spaces/S4D/pages/640025085 and
https://support.syncplicity.com/hc/en-us/articles/13506356263181), so a filter means the same files in both. A type may
be in several groups (`ogg` is audio and a movie). What a PDF is about, no extension tells: `specifications` are the
exchange formats of specifications, not every file that holds one.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple


class FileGroup(StrEnum):
    """The groups, by the names that a job gives them. Upper case is taken, too, as DryvIQ writes them."""

    AUDIO = "audio"
    DOCUMENTS = "documents"
    EXECUTABLES = "executables"
    IMAGES = "images"
    MOVIES = "movies"
    TEMPORARY = "temporary"
    WINDOWS = "windows"
    DRAWINGS = "drawings"
    MODELS = "models"
    POINT_CLOUDS = "point_clouds"
    SCHEDULES = "schedules"
    GIS = "gis"
    PHOTOS = "photos"
    SPECIFICATIONS = "specifications"
    ARCHIVES = "archives"
    EMAIL = "email"
    BACKUPS = "backups"

    @classmethod
    def _missing_(cls, value: object) -> "FileGroup | None":
        lower = str(value).lower()
        return next((group for group in cls if group.value == lower), None)


class FileTypes(NamedTuple):
    """What belongs to a group. Extensions are lower case without the dot; patterns are globs of names."""

    what: str
    extensions: tuple[str, ...]
    patterns: tuple[str, ...] = ()


def _types(what: str, extensions: str, *patterns: str) -> FileTypes:
    return FileTypes(what, tuple(extensions.split()), patterns)


GROUPS: Mapping[FileGroup, FileTypes] = MappingProxyType(
    {
        FileGroup.AUDIO: _types(
            "sound recordings",
            "3gp act aiff aac alac amr atrac au awb dct dss dvf flac gsm iklax ivs m4a m4p mmf mp3 mpc msv ogg opus ra "
            "rm raw tta vox wav wma wavpack",
        ),
        FileGroup.DOCUMENTS: _types(
            "PDF and the files of Word, Excel and PowerPoint",
            "rtf pdf docx docm dotx dotm pptx pptm potm potx ppsx ppsm xlsx xlsb xlsm xltx xltm doc xls ppt",
        ),
        FileGroup.EXECUTABLES: _types(
            "programs, scripts and installers",
            "app apk bin bat exe com command cmd dll msi ps1 job msp prg csh reg rgs vb vbs vbscript cpl jscript",
        ),
        FileGroup.IMAGES: _types(
            "pictures of every kind, camera raw formats too",
            "jpg jpeg jif jfif jp2 jpx j2k j2c jpe png tif tiff tga bmp gif pdn psd dds webp wmf emf 3fr ari arw bay "
            "crw cr2 cap dcs dcr dng drf eip erf fff iiq k25 kdc mdc mef mos mrw nef nrw obm orf pef ptx pxn r3d raf "
            "raw rwl rw2 rwz sr2 srf srw x3f",
        ),
        FileGroup.MOVIES: _types(
            "films",
            "avi divx mp4 wmd wmv ogx ogg ogv ogm qt mov moov hd264 hdmov m2v m4e m4u m4v mkv mk3d mjpg mpeg mpeg1 "
            "mpeg4 mpg mpg2 swf vid",
        ),
        FileGroup.TEMPORARY: _types(
            "temporary files, and what Office keeps beside an open file",
            "tmp temp",
            *(f"~$*.{one}" for one in ["docx", "xlsx", "pptx", "docm", "dotx", "dotm", "xlsm", "xltx", "xltm", "pptm"]),
        ),
        FileGroup.WINDOWS: _types(
            "what Windows and its programs keep for themselves",
            "lnk db sdf msp bas mdb msc dsb dbx mda nch wms tmp ini inf",
        ),
        FileGroup.DRAWINGS: _types(
            "CAD drawings, sheet sets and plot files (AutoCAD, MicroStation, Visio, SolidWorks, Inventor)",
            "dwg dxf dwt dws dst dgn cel dwf dwfx plt hpgl vsd vsdx slddrw idw",
        ),
        FileGroup.MODELS: _types(
            "building and 3D models, their families, and BIM issues (Revit, IFC, Navisworks, SketchUp, Rhino, "
            "Archicad, Vectorworks, Tekla, Solibri, STEP and meshes)",
            "rvt rfa rte rft ifc ifczip ifcxml nwd nwc nwf skp 3dm pln pla bimx vwx vwxp db1 smc bcf bcfzip ipt iam "
            "sldprt sldasm catpart catproduct step stp iges igs sat obj fbx stl gltf glb usdz 3ds dae",
        ),
        FileGroup.POINT_CLOUDS: _types(
            "laser scans (ReCap, Leica, Faro, Z+F and exchange formats)",
            "rcp rcs e57 las laz pts ptx ptg pcd ply xyz fls lsproj zfs imp",
        ),
        FileGroup.SCHEDULES: _types(
            "construction schedules (Microsoft Project, Primavera, Powerproject, ProjectLibre, GanttProject)",
            "mpp mpt mpx xer pmxml prx stx pp pod gan",
        ),
        FileGroup.GIS: _types(
            "maps and terrain (Esri, QGIS, Google Earth and exchange formats)",
            "shp shx dbf prj sbn sbx cpg gpkg kml kmz geojson gml gpx qgs qgz mxd aprx lyr lyrx mbtiles dem ecw sid",
        ),
        FileGroup.PHOTOS: _types(
            "what phones, cameras and drones on site make",
            "jpg jpeg heic heif hif dng cr2 cr3 nef nrw arw sr2 srf orf raf rw2 pef gpr insp",
        ),
        FileGroup.SPECIFICATIONS: _types(
            "exchange formats of specifications and bills of quantities (SpecsIntact, GAEB, ÖNORM, FIEBDC, CRB, IDS)",
            "sec d81 d82 d83 d84 d85 d86 p81 p82 p83 p84 p85 p86 x81 x82 x83 x84 x85 x86 onlv bc3 crbx ids",
        ),
        FileGroup.ARCHIVES: _types(
            "archives and disk images", "zip zipx 7z rar tar gz tgz bz2 tbz2 xz txz zst cab iso arj lzh"
        ),
        FileGroup.EMAIL: _types("messages and mailboxes", "eml emlx msg oft mbox pst ost"),
        FileGroup.BACKUPS: _types(
            "backups, locks and autosaves that design programs leave beside their files",
            "bak dwl dwl2 sv$ ac$ skb 3dmbak rhl bpn",
            *(f"*.[0-9][0-9][0-9][0-9].{one}" for one in ["rvt", "rfa", "rte", "rft"]),
        ),
    }
)
"""Every group and its types."""
