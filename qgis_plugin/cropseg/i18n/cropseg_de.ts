<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<TS version="2.1" language="de" sourcelanguage="en_GB">
  <context>
    <name>cropseg</name>
    <message>
      <source>Stopped. The blocks that were finished are kept for the next run.</source>
      <translation>Angehalten. Die fertigen Blöcke bleiben für den nächsten Lauf erhalten.</translation>
    </message>
    <message>
      <source>Stopped.</source>
      <translation>Angehalten.</translation>
    </message>
    <message>
      <source>The file of the layer {} was replaced by one that does not hold it.</source>
      <translation>Die Datei des Layers {} wurde durch eine ersetzt, die ihn nicht enthält.</translation>
    </message>
    <message>
      <source>Engine {} ({})</source>
      <translation>Rechenkern {} ({})</translation>
    </message>
    <message>
      <source>Check an orthomosaic</source>
      <translation>Orthomosaik prüfen</translation>
    </message>
    <message>
      <source>preflight,forecast,memory,time,check,orthomosaic</source>
      <translation>Prüfung,Vorhersage,Speicher,Zeit,Orthomosaik</translation>
    </message>
    <message>
      <source>Says what segmenting will do, need and take, or why it cannot work.</source>
      <translation>Sagt, was das Segmentieren tun, brauchen und dauern wird, oder warum es nicht gehen kann.</translation>
    </message>
    <message>
      <source>Looks at an orthomosaic and says what segmenting it will do: resolution, bands, valid part, tiles, device, memory, disk and time. If something stands in the way, it says what, and how to mend it. Changes nothing.</source>
      <translation>Sieht sich ein Orthomosaik an und sagt, was beim Segmentieren geschehen wird: Auflösung, Bänder, gültiger Teil, Kacheln, Gerät, Arbeitsspeicher, Plattenplatz und Zeit. Steht etwas im Weg, sagt es, was, und wie es zu beheben ist. Verändert nichts.</translation>
    </message>
    <message>
      <source>Forecast to read</source>
      <translation>Vorhersage zum Lesen</translation>
    </message>
    <message>
      <source>HTML files (*.html)</source>
      <translation>HTML-Dateien (*.html)</translation>
    </message>
    <message>
      <source>The forecast as a page; it is in the log as well.</source>
      <translation>Die Vorhersage als Seite; sie steht auch im Protokoll.</translation>
    </message>
    <message>
      <source>Forecast for programs</source>
      <translation>Vorhersage für Programme</translation>
    </message>
    <message>
      <source>JSON files (*.json)</source>
      <translation>JSON-Dateien (*.json)</translation>
    </message>
    <message>
      <source>The forecast in numbers.</source>
      <translation>Die Vorhersage in Zahlen.</translation>
    </message>
    <message>
      <source>Number of tiles</source>
      <translation>Anzahl der Kacheln</translation>
    </message>
    <message>
      <source>Memory (bytes)</source>
      <translation>Arbeitsspeicher (Bytes)</translation>
    </message>
    <message>
      <source>Disk (bytes)</source>
      <translation>Plattenplatz (Bytes)</translation>
    </message>
    <message>
      <source>Time (s)</source>
      <translation>Zeit (s)</translation>
    </message>
    <message>
      <source>Ready. Nothing stands in the way.</source>
      <translation>Bereit. Nichts steht im Weg.</translation>
    </message>
    <message>
      <source>What segmenting will take</source>
      <translation>Was das Segmentieren braucht</translation>
    </message>
    <message>
      <source>The engine writes files, and {} is none.
→ give a file, or TEMPORARY_OUTPUT</source>
      <translation>Der Rechenkern schreibt Dateien, und {} ist keine.
→ eine Datei angeben oder TEMPORARY_OUTPUT</translation>
    </message>
    <message>
      <source>{} is not a name for this result.
→ let it end in {}</source>
      <translation>{} ist kein Name für dieses Ergebnis.
→ er soll auf {} enden</translation>
    </message>
    <message>
      <source>{} is named for two results.
→ choose another name for one of them</source>
      <translation>{} ist für zwei Ergebnisse angegeben.
→ für eines davon einen anderen Namen wählen</translation>
    </message>
    <message>
      <source>{} is read by this run and would be replaced by its result.
→ choose another name or folder</source>
      <translation>{} wird von diesem Lauf gelesen und würde durch sein Ergebnis ersetzt.
→ einen anderen Namen oder Ordner wählen</translation>
    </message>
    <message>
      <source>{} also holds {}, which would be lost.
→ choose another name or folder</source>
      <translation>{} enthält auch {}; das ginge verloren.
→ einen anderen Namen oder Ordner wählen</translation>
    </message>
    <message>
      <source>{} cannot be written: {}</source>
      <translation>{} kann nicht geschrieben werden: {}</translation>
    </message>
    <message>
      <source>Install the engine</source>
      <translation>Rechenkern installieren</translation>
    </message>
    <message>
      <source>install,update,engine,environment,torch,offline</source>
      <translation>Installation,Aktualisierung,Rechenkern,Umgebung,PyTorch,offline</translation>
    </message>
    <message>
      <source>Installs what does the work, in an environment of its own.</source>
      <translation>Installiert, was die Arbeit tut, in einer eigenen Umgebung.</translation>
    </message>
    <message>
      <source>Installs the engine (Python, the models and what computes them) into a folder of its own; QGIS is left as it is. Takes about 1 GB of disk and a few minutes; with PyTorch, which graphics cards and some models of your own need, several times as much.

Uses uv where it is installed, else a Python from 3.11 to 3.14. Proxies and indexes as configured for pip count. Without a connection, give a folder of wheels. Run it again to update; the old engine is kept until the new one works.</source>
      <translation>Installiert den Rechenkern (Python, die Modelle und was sie berechnet) in einen eigenen Ordner; QGIS bleibt, wie es ist. Braucht etwa 1 GB Platz und ein paar Minuten; mit PyTorch, das Grafikkarten und manche eigenen Modelle brauchen, ein Mehrfaches davon.

Nimmt uv, wo es installiert ist, sonst ein Python von 3.11 bis 3.14. Proxys und Indizes gelten, wie sie für pip eingerichtet sind. Ohne Verbindung einen Ordner mit Wheels angeben. Zum Aktualisieren noch einmal ausführen; der alte Rechenkern bleibt, bis der neue läuft.</translation>
    </message>
    <message>
      <source>Engine for</source>
      <translation>Rechenkern für</translation>
    </message>
    <message>
      <source>cpu: small, fastest on a processor. cuda: with PyTorch for NVIDIA graphics cards, much larger. torch: with PyTorch for processor and Apple graphics, for models without an ONNX form.</source>
      <translation>cpu: klein, auf einem Prozessor am schnellsten. cuda: mit PyTorch für NVIDIA-Grafikkarten, viel größer. torch: mit PyTorch für Prozessor und Apple-Grafik, für Modelle ohne ONNX-Form.</translation>
    </message>
    <message>
      <source>Folder of wheels</source>
      <translation>Ordner mit Wheels</translation>
    </message>
    <message>
      <source>Install from this folder and not from the network.</source>
      <translation>Aus diesem Ordner installieren, nicht aus dem Netz.</translation>
    </message>
    <message>
      <source>Folder for the engine</source>
      <translation>Ordner für den Rechenkern</translation>
    </message>
    <message>
      <source>Empty: a folder of the plugin's own.</source>
      <translation>Leer: ein eigener Ordner des Plugins.</translation>
    </message>
    <message>
      <source>Python of the engine</source>
      <translation>Python des Rechenkerns</translation>
    </message>
    <message>
      <source>Version of the engine</source>
      <translation>Version des Rechenkerns</translation>
    </message>
    <message>
      <source>Engine {} is ready: {}</source>
      <translation>Rechenkern {} ist bereit: {}</translation>
    </message>
    <message>
      <source>Make plots</source>
      <translation>Parzellen anlegen</translation>
    </message>
    <message>
      <source>plots,trial,layout,grid,blocks,field book,phenotyping</source>
      <translation>Parzellen,Versuch,Anlage,Raster,Blöcke,Feldbuch,Phänotypisierung</translation>
    </message>
    <message>
      <source>Lays out the plots of a field trial, exact on the ground.</source>
      <translation>Legt die Parzellen eines Feldversuchs an, am Boden maßgenau.</translation>
    </message>
    <message>
      <source>Lays out rows and columns of plots in exact sizes, in any CRS, with alleys, blocks and the numbering of the field.

Say where they lie by a layer of the four outer corners (or one polygon), or by two points: A, the lower left corner, and B, along the first row. Or move the plots of an earlier survey there, as a template. A field book (CSV) adds its columns. With a mask the plots are moved and turned a little to fit the canopy.</source>
      <translation>Legt Reihen und Spalten von Parzellen in genauen Maßen an, in jedem KBS, mit Wegen, Blöcken und der Nummerierung des Feldes.

Wo sie liegen, sagt ein Layer mit den vier äußeren Ecken (oder ein Polygon), oder zwei Punkte: A, die Ecke unten links, und B, entlang der ersten Reihe. Oder die Parzellen einer früheren Befliegung werden als Vorlage dorthin gelegt. Ein Feldbuch (CSV) fügt seine Spalten hinzu. Mit einer Maske werden die Parzellen ein wenig verschoben und gedreht, bis sie zum Bestand passen.</translation>
    </message>
    <message>
      <source>Plots</source>
      <translation>Parzellen</translation>
    </message>
    <message>
      <source>The plots with plot_id, block, row and column.</source>
      <translation>Die Parzellen mit plot_id, block, row und column.</translation>
    </message>
    <message>
      <source>Number of plots</source>
      <translation>Anzahl der Parzellen</translation>
    </message>
    <message>
      <source>Largest misfit of a corner (m)</source>
      <translation>Größte Abweichung einer Ecke (m)</translation>
    </message>
    <message>
      <source>The plots as they lie in the field</source>
      <translation>Die Parzellen, wie sie im Feld liegen</translation>
    </message>
    <message>
      <source>Field book</source>
      <translation>Feldbuch</translation>
    </message>
    <message>
      <source>Tables (*.csv *.txt *.tsv)</source>
      <translation>Tabellen (*.csv *.txt *.tsv)</translation>
    </message>
    <message>
      <source>Table with a line for each plot; its columns are added.</source>
      <translation>Tabelle mit einer Zeile je Parzelle; ihre Spalten kommen hinzu.</translation>
    </message>
    <message>
      <source>Field book by</source>
      <translation>Feldbuch nach</translation>
    </message>
    <message>
      <source>auto, row-column, or the field book's column of plot names.</source>
      <translation>auto, row-column oder die Spalte des Feldbuchs mit den Parzellennamen.</translation>
    </message>
    <message>
      <source>Fit to the canopy of</source>
      <translation>Anpassen an den Bestand von</translation>
    </message>
    <message>
      <source>A mask: the plots are moved and turned a little so that the canopy lies inside; they come in its CRS.</source>
      <translation>Eine Maske: die Parzellen werden ein wenig verschoben und gedreht, bis der Bestand in ihnen liegt; sie kommen in deren KBS.</translation>
    </message>
    <message>
      <source>Template</source>
      <translation>Vorlage</translation>
    </message>
    <message>
      <source>Plots of an earlier survey that are moved here, with all their columns.</source>
      <translation>Parzellen einer früheren Befliegung, die hierher gelegt werden, mit all ihren Spalten.</translation>
    </message>
    <message>
      <source>Orthomosaic</source>
      <translation>Orthomosaik</translation>
    </message>
    <message>
      <source>Red, green, blue image of the field, georeferenced: GeoTIFF, COG, virtual raster …</source>
      <translation>Rot-grün-blaues Bild des Feldes, georeferenziert: GeoTIFF, COG, virtuelles Raster …</translation>
    </message>
    <message>
      <source>Extent</source>
      <translation>Ausdehnung</translation>
    </message>
    <message>
      <source>Only this part of the image, in any CRS. Empty: the whole image.</source>
      <translation>Nur dieser Teil des Bildes, in jedem KBS. Leer: das ganze Bild.</translation>
    </message>
    <message>
      <source>Area of interest</source>
      <translation>Untersuchungsgebiet</translation>
    </message>
    <message>
      <source>Polygons to restrict the work to, in any CRS; what lies outside becomes nodata.</source>
      <translation>Polygone, auf die sich die Arbeit beschränkt, in jedem KBS; was außerhalb liegt, wird Nodata.</translation>
    </message>
    <message>
      <source>Model</source>
      <translation>Modell</translation>
    </message>
    <message>
      <source>Name of a model that the engine holds, or the path of a model file (.onnx or .safetensors).</source>
      <translation>Name eines Modells, das der Rechenkern mitbringt, oder der Pfad einer Modelldatei (.onnx oder .safetensors).</translation>
    </message>
    <message>
      <source>Threshold</source>
      <translation>Schwelle</translation>
    </message>
    <message>
      <source>Probability from which a pixel is crop, between 0 and 1. Empty: what suits the model.</source>
      <translation>Wahrscheinlichkeit, ab der ein Pixel Bestand ist, zwischen 0 und 1. Leer: was zum Modell passt.</translation>
    </message>
    <message>
      <source>Bands</source>
      <translation>Bänder</translation>
    </message>
    <message>
      <source>Bands for the model's red, green, blue, in this order. Empty: found from the image.</source>
      <translation>Bänder für Rot, Grün und Blau des Modells, in dieser Folge. Leer: aus dem Bild ermittelt.</translation>
    </message>
    <message>
      <source>Band of valid pixels</source>
      <translation>Band der gültigen Pixel</translation>
    </message>
    <message>
      <source>Band that is 0 where the image holds nothing, if the image does not say which it is.</source>
      <translation>Band, das 0 ist, wo das Bild nichts enthält, falls das Bild nicht sagt, welches es ist.</translation>
    </message>
    <message>
      <source>Values of black and white</source>
      <translation>Werte von Schwarz und Weiß</translation>
    </message>
    <message>
      <source>For images of more than 8 bit, such as 0,4000. Empty: found from the image.</source>
      <translation>Für Bilder mit mehr als 8 Bit, etwa 0,4000. Leer: aus dem Bild ermittelt.</translation>
    </message>
    <message>
      <source>Values are reflectance</source>
      <translation>Werte sind Reflexionsgrade</translation>
    </message>
    <message>
      <source>The second value above is then that of full reflectance, such as 0,10000 or 0,32768.</source>
      <translation>Der zweite Wert oben ist dann der von vollständiger Reflexion, etwa 0,10000 oder 0,32768.</translation>
    </message>
    <message>
      <source>Working resolution (m/px)</source>
      <translation>Arbeitsauflösung (m/px)</translation>
    </message>
    <message>
      <source>The image is resampled to this pixel size for the model. Empty: the image's own, or the nearest that the model takes.</source>
      <translation>Das Bild wird für das Modell auf diese Pixelgröße umgerechnet. Leer: die des Bildes oder die nächste, die das Modell annimmt.</translation>
    </message>
    <message>
      <source>Choose the working resolution</source>
      <translation>Arbeitsauflösung wählen lassen</translation>
    </message>
    <message>
      <source>Tries several pixel sizes on parts of the image and takes the one that suits it best.</source>
      <translation>Probiert mehrere Pixelgrößen an Teilen des Bildes und nimmt die, die am besten passt.</translation>
    </message>
    <message>
      <source>Grid of the results</source>
      <translation>Raster der Ergebnisse</translation>
    </message>
    <message>
      <source>source: pixels as in the orthomosaic. working: pixels of the working resolution.</source>
      <translation>source: Pixel wie im Orthomosaik. working: Pixel der Arbeitsauflösung.</translation>
    </message>
    <message>
      <source>Device</source>
      <translation>Gerät</translation>
    </message>
    <message>
      <source>auto takes a graphics card where there is one that works, else the processor.</source>
      <translation>auto nimmt eine Grafikkarte, wo eine ist, die läuft, sonst den Prozessor.</translation>
    </message>
    <message>
      <source>Computed by</source>
      <translation>Berechnet von</translation>
    </message>
    <message>
      <source>auto takes the fastest that is installed and knows the model; another one if that fails.</source>
      <translation>auto nimmt das Schnellste, das installiert ist und das Modell kennt; ein anderes, falls das scheitert.</translation>
    </message>
    <message>
      <source>Precision</source>
      <translation>Genauigkeit</translation>
    </message>
    <message>
      <source>auto takes bf16 on graphics cards that compute in it, and on processors that do where the model keeps its masks; else fp32.</source>
      <translation>auto nimmt bf16 auf Grafikkarten, die darin rechnen, und auf solchen Prozessoren, wo das Modell seine Masken behält; sonst fp32.</translation>
    </message>
    <message>
      <source>Tile size (px)</source>
      <translation>Kachelgröße (px)</translation>
    </message>
    <message>
      <source>Side of the squares that the model sees. Empty: what suits the model.</source>
      <translation>Seite der Quadrate, die das Modell sieht. Leer: was zum Modell passt.</translation>
    </message>
    <message>
      <source>Overlap (px)</source>
      <translation>Überlappung (px)</translation>
    </message>
    <message>
      <source>Overlap of neighbouring tiles, blended so that no seams show. Empty: what suits the model.</source>
      <translation>Überlappung benachbarter Kacheln, so überblendet, dass keine Nähte zu sehen sind. Leer: was zum Modell passt.</translation>
    </message>
    <message>
      <source>Batch size</source>
      <translation>Stapelgröße</translation>
    </message>
    <message>
      <source>Tiles that the model sees at once; smaller needs less memory. Empty: what suits the device.</source>
      <translation>Kacheln, die das Modell auf einmal sieht; weniger braucht weniger Speicher. Leer: was zum Gerät passt.</translation>
    </message>
    <message>
      <source>Threads</source>
      <translation>Threads</translation>
    </message>
    <message>
      <source>Each computes one tile; fewer need less memory. Empty: one for each core, up to eight.</source>
      <translation>Jeder rechnet eine Kachel; weniger brauchen weniger Speicher. Leer: einer je Kern, höchstens acht.</translation>
    </message>
    <message>
      <source>Values of black and white: two numbers such as 0,4000 are expected, not {}</source>
      <translation>Werte von Schwarz und Weiß: zwei Zahlen wie 0,4000 werden erwartet, nicht {}</translation>
    </message>
    <message>
      <source>Smallest outline (m²)</source>
      <translation>Kleinster Umriss (m²)</translation>
    </message>
    <message>
      <source>Outlines of less area are left out. The mask keeps their pixels.</source>
      <translation>Umrisse von weniger Fläche entfallen. Die Maske behält ihre Pixel.</translation>
    </message>
    <message>
      <source>Outlines follow</source>
      <translation>Umrisse folgen</translation>
    </message>
    <message>
      <source>pixel: the edges of pixels, with exact areas. contour: the probability, smooth.</source>
      <translation>pixel: den Rändern der Pixel, mit genauen Flächen. contour: der Wahrscheinlichkeit, glatt.</translation>
    </message>
    <message>
      <source>Plants that touch</source>
      <translation>Pflanzen, die sich berühren</translation>
    </message>
    <message>
      <source>touching: stay one outline. split: are parted at their necks.</source>
      <translation>touching: bleiben ein Umriss. split: werden an ihren Engstellen getrennt.</translation>
    </message>
    <message>
      <source>Fill holes up to (m²)</source>
      <translation>Löcher füllen bis (m²)</translation>
    </message>
    <message>
      <source>Holes of less area are filled where they hold nothing but background.</source>
      <translation>Löcher von weniger Fläche werden gefüllt, wo sie nichts als Hintergrund enthalten.</translation>
    </message>
    <message>
      <source>Simplify by (m)</source>
      <translation>Vereinfachen um (m)</translation>
    </message>
    <message>
      <source>Tolerance of simpler outlines; edges that neighbours share stay shared. 0: none.</source>
      <translation>Toleranz einfacherer Umrisse; gemeinsame Kanten von Nachbarn bleiben gemeinsam. 0: keine.</translation>
    </message>
    <message>
      <source>Orthomosaic to plot coverage and report</source>
      <translation>Orthomosaik zu Parzellendeckung und Bericht</translation>
    </message>
    <message>
      <source>canopy,coverage,plots,report,crop,drone,phenotyping,all</source>
      <translation>Bestand,Deckungsgrad,Parzellen,Bericht,Drohne,Phänotypisierung,alles</translation>
    </message>
    <message>
      <source>Everything in one run: mask, outlines, coverage of every plot and a report.</source>
      <translation>Alles in einem Lauf: Maske, Umrisse, Deckung jeder Parzelle und ein Bericht.</translation>
    </message>
    <message>
      <source>From a drone orthomosaic to results in one run: mask, probability, canopy outlines, with plots their coverage, with a surface model heights and volumes, and a report as a page that can be passed on.

The files lie in one folder, named after the orthomosaic. Cancel at any time: blocks that are finished are kept there, and the same run goes on from them.</source>
      <translation>Vom Drohnen-Orthomosaik zu Ergebnissen in einem Lauf: Maske, Wahrscheinlichkeit, Umrisse des Bestands, mit Parzellen deren Deckung, mit einem Oberflächenmodell Höhen und Volumen, und ein Bericht als Seite zum Weitergeben.

Die Dateien liegen in einem Ordner und heißen nach dem Orthomosaik. Jederzeit abbrechen: fertige Blöcke bleiben dort, und derselbe Lauf geht von ihnen aus weiter.</translation>
    </message>
    <message>
      <source>Make a report</source>
      <translation>Bericht erstellen</translation>
    </message>
    <message>
      <source>A page with pictures and tables that works offline.</source>
      <translation>Eine Seite mit Bildern und Tabellen, die ohne Verbindung lesbar ist.</translation>
    </message>
    <message>
      <source>Load the results</source>
      <translation>Ergebnisse laden</translation>
    </message>
    <message>
      <source>Adds the layers to the project, styled and grouped.</source>
      <translation>Fügt die Layer dem Projekt hinzu, gestaltet und gruppiert.</translation>
    </message>
    <message>
      <source>Replace earlier results</source>
      <translation>Frühere Ergebnisse ersetzen</translation>
    </message>
    <message>
      <source>Otherwise they are refused.</source>
      <translation>Sonst wird abgelehnt, sie zu überschreiben.</translation>
    </message>
    <message>
      <source>Folder for the results</source>
      <translation>Ordner für die Ergebnisse</translation>
    </message>
    <message>
      <source>Made if need be; the files are named after the orthomosaic.</source>
      <translation>Wird bei Bedarf angelegt; die Dateien heißen nach dem Orthomosaik.</translation>
    </message>
    <message>
      <source>Mask</source>
      <translation>Maske</translation>
    </message>
    <message>
      <source>Probability</source>
      <translation>Wahrscheinlichkeit</translation>
    </message>
    <message>
      <source>Canopy</source>
      <translation>Bestand</translation>
    </message>
    <message>
      <source>Plots with statistics</source>
      <translation>Parzellen mit Statistik</translation>
    </message>
    <message>
      <source>Table of plots</source>
      <translation>Tabelle der Parzellen</translation>
    </message>
    <message>
      <source>Report</source>
      <translation>Bericht</translation>
    </message>
    <message>
      <source>The earlier results' layer of plots goes: this run has no PLOTS and replaces its file.</source>
      <translation>Der Parzellen-Layer der früheren Ergebnisse entfällt: dieser Lauf hat keine PLOTS und ersetzt dessen Datei.</translation>
    </message>
    <message>
      <source>{} already holds {}.
→ tick OVERWRITE to replace them, or choose another folder</source>
      <translation>{} enthält schon {}.
→ OVERWRITE ankreuzen, um sie zu ersetzen, oder einen anderen Ordner wählen</translation>
    </message>
    <message>
      <source>Plots over several dates</source>
      <translation>Parzellen über mehrere Termine</translation>
    </message>
    <message>
      <source>plots,time series,growth curve,season,dates,coverage,trial,phenotyping</source>
      <translation>Parzellen,Zeitreihe,Wachstumskurve,Saison,Termine,Deckung,Feldversuch,Phänotypisierung</translation>
    </message>
    <message>
      <source>Measures the same plots on several dates: one layer to play, and growth curves.</source>
      <translation>Misst dieselben Parzellen an mehreren Tagen: ein Layer zum Abspielen und Wachstumskurven.</translation>
    </message>
    <message>
      <source>Measures the same plots on the masks of several flights, as the plot statistics do on one: a layer with each plot once for each date, the change of coverage per day in it, and growth curves as a picture.

The masks may differ in resolution, extent and CRS. Their dates are read from the files' names (trial_2026-05-31_mask.tif), or given.</source>
      <translation>Misst dieselben Parzellen auf den Masken mehrerer Flüge, wie es die Parzellenstatistik auf einer tut: ein Layer mit jeder Parzelle einmal je Tag, darin die Änderung der Deckung je Tag, und Wachstumskurven als Bild.

Die Masken dürfen sich in Auflösung, Ausdehnung und KBS unterscheiden. Ihr Datum wird aus den Dateinamen gelesen (versuch_2026-05-31_mask.tif) oder angegeben.</translation>
    </message>
    <message>
      <source>Masks</source>
      <translation>Masken</translation>
    </message>
    <message>
      <source>One for each date: a band of class numbers, 0 is background, 255 is nodata.</source>
      <translation>Eine je Tag: ein Kanal mit Klassennummern, 0 ist Hintergrund, 255 ist ohne Daten.</translation>
    </message>
    <message>
      <source>Dates</source>
      <translation>Termine</translation>
    </message>
    <message>
      <source>In the order of the masks: 2026-05-31, 2026-06-14. Empty: as the files' names say.</source>
      <translation>In der Reihenfolge der Masken: 2026-05-31, 2026-06-14. Leer: wie es die Dateinamen sagen.</translation>
    </message>
    <message>
      <source>Probabilities</source>
      <translation>Wahrscheinlichkeiten</translation>
    </message>
    <message>
      <source>The masks' probability rasters, in the masks' order.</source>
      <translation>Die Wahrscheinlichkeitsraster der Masken, in deren Reihenfolge.</translation>
    </message>
    <message>
      <source>Orthomosaics</source>
      <translation>Orthomosaike</translation>
    </message>
    <message>
      <source>For colour indices of the canopy, in the masks' order.</source>
      <translation>Für Farbindizes des Bestands, in der Reihenfolge der Masken.</translation>
    </message>
    <message>
      <source>Surface models (DSM)</source>
      <translation>Oberflächenmodelle (DSM)</translation>
    </message>
    <message>
      <source>For canopy height and volume, in the masks' order.</source>
      <translation>Für Höhe und Volumen des Bestands, in der Reihenfolge der Masken.</translation>
    </message>
    <message>
      <source>Terrain models (DTM)</source>
      <translation>Geländemodelle (DTM)</translation>
    </message>
    <message>
      <source>One for all dates, or one for each in the masks' order.</source>
      <translation>Eines für alle Tage oder je eines in der Reihenfolge der Masken.</translation>
    </message>
    <message>
      <source>Plots over the dates</source>
      <translation>Parzellen über die Tage</translation>
    </message>
    <message>
      <source>Each plot once for each date, earliest first; the temporal controller plays them. As .csv: the table alone.</source>
      <translation>Jede Parzelle einmal je Tag, der früheste zuerst; die Zeitsteuerung spielt sie ab. Als .csv: nur die Tabelle.</translation>
    </message>
    <message>
      <source>The season of each plot</source>
      <translation>Saison jeder Parzelle</translation>
    </message>
    <message>
      <source>Each plot once: the area under its coverage curve, the days until half of it was covered, the largest coverage and its date. As .csv: the table alone.</source>
      <translation>Jede Parzelle einmal: die Fläche unter ihrer Deckungskurve, die Tage, bis sie zur Hälfte bedeckt war, die größte Deckung und ihr Datum. Als .csv: nur die Tabelle.</translation>
    </message>
    <message>
      <source>Growth curves</source>
      <translation>Wachstumskurven</translation>
    </message>
    <message>
      <source>The coverage of every plot over the dates, as a picture.</source>
      <translation>Die Deckung jeder Parzelle über die Tage, als Bild.</translation>
    </message>
    <message>
      <source>Plot statistics</source>
      <translation>Parzellenstatistik</translation>
    </message>
    <message>
      <source>plots,coverage,zonal statistics,canopy cover,trial,phenotyping,height</source>
      <translation>Parzellen,Deckungsgrad,zonale Statistik,Bestand,Versuch,Phänotypisierung,Höhe</translation>
    </message>
    <message>
      <source>Measures coverage and canopy of every plot of a field trial.</source>
      <translation>Misst Deckung und Bestand jeder Parzelle eines Feldversuchs.</translation>
    </message>
    <message>
      <source>Measures every plot on a finished mask: coverage, canopy area, number of plants or patches, mean probability, and with more inputs height, volume and colour indices. Pixels on the edge of a plot count by the part that lies inside; nodata counts neither as canopy nor as soil.

The plots may be in any CRS, a selection, or a layer that lives in memory only.</source>
      <translation>Misst jede Parzelle auf einer fertigen Maske: Deckung, Bestandsfläche, Anzahl der Pflanzen oder Flecken, mittlere Wahrscheinlichkeit, und mit weiteren Eingaben Höhe, Volumen und Farbindizes. Pixel am Rand einer Parzelle zählen mit dem Teil, der in ihr liegt; Nodata zählt weder als Bestand noch als Boden.

Die Parzellen dürfen in jedem KBS liegen, eine Auswahl sein oder ein Layer, den es nur im Arbeitsspeicher gibt.</translation>
    </message>
    <message>
      <source>One band of class numbers, 0 is background, 255 is nodata.</source>
      <translation>Ein Band mit Klassennummern, 0 ist Hintergrund, 255 ist Nodata.</translation>
    </message>
    <message>
      <source>The mask's probability raster; gives the mean probability and how much is uncertain.</source>
      <translation>Das Wahrscheinlichkeitsraster der Maske; ergibt die mittlere Wahrscheinlichkeit und wie viel unsicher ist.</translation>
    </message>
    <message>
      <source>The plots with a column for each measure, coloured by coverage. As .csv: the table alone.</source>
      <translation>Die Parzellen mit einer Spalte je Maß, gefärbt nach Deckung. Als .csv: nur die Tabelle.</translation>
    </message>
    <message>
      <source>Mean coverage of the plots</source>
      <translation>Mittlere Deckung der Parzellen</translation>
    </message>
    <message>
      <source>Report of a mask</source>
      <translation>Bericht zu einer Maske</translation>
    </message>
    <message>
      <source>report,pdf,html,print,plots,coverage,map,growth curve</source>
      <translation>Bericht,PDF,HTML,Druck,Parzellen,Deckung,Karte,Wachstumskurve</translation>
    </message>
    <message>
      <source>Makes a page, or a sheet to print, of a mask and of what was measured on it.</source>
      <translation>Macht aus einer Maske und dem, was auf ihr gemessen wurde, eine Seite oder ein Blatt zum Drucken.</translation>
    </message>
    <message>
      <source>Makes a report of a finished mask: map, key figures, table and charts of the plots, growth curves, notes on quality and provenance.

As .html it is one file that works offline and can be passed on; as .pdf or .png a sheet in A4 landscape.</source>
      <translation>Macht einen Bericht zu einer fertigen Maske: Karte, Kennzahlen, Tabelle und Diagramme der Parzellen, Wachstumskurven, Hinweise zu Güte und Herkunft.

Als .html ist er eine einzige Datei, die ohne Netz lesbar ist und weitergegeben werden kann; als .pdf oder .png ein Blatt in A4 quer.</translation>
    </message>
    <message>
      <source>The image that the mask was made of, to show under it.</source>
      <translation>Das Bild, aus dem die Maske gemacht wurde, um es darunter zu zeigen.</translation>
    </message>
    <message>
      <source>The plots with their statistics, as the plot statistics give them.</source>
      <translation>Die Parzellen mit ihren Werten, wie die Parzellenstatistik sie ausgibt.</translation>
    </message>
    <message>
      <source>For growth curves: what Plots over several dates gives.</source>
      <translation>Für Wachstumskurven: was „Parzellen über mehrere Termine“ ausgibt.</translation>
    </message>
    <message>
      <source>The mask's probability raster, for notes on how sure the model is.</source>
      <translation>Das Wahrscheinlichkeitsraster der Maske, für Hinweise, wie sicher das Modell ist.</translation>
    </message>
    <message>
      <source>Red, green and blue of the orthomosaic, in this order; one is shown in grey. Empty: found.</source>
      <translation>Rot, Grün und Blau des Orthomosaiks, in dieser Reihenfolge; einer allein wird grau gezeigt. Leer: gefunden.</translation>
    </message>
    <message>
      <source>A page (.html), or a sheet to print (.pdf, .png).</source>
      <translation>Eine Seite (.html) oder ein Blatt zum Drucken (.pdf, .png).</translation>
    </message>
    <message>
      <source>Segment an orthomosaic</source>
      <translation>Orthomosaik segmentieren</translation>
    </message>
    <message>
      <source>canopy,crop,mask,deep learning,vegetation,coverage,drone,classification</source>
      <translation>Bestand,Kultur,Maske,Deep Learning,Vegetation,Deckungsgrad,Drohne,Klassifikation</translation>
    </message>
    <message>
      <source>Finds the crop canopy in a drone orthomosaic.</source>
      <translation>Findet den Pflanzenbestand in einem Drohnen-Orthomosaik.</translation>
    </message>
    <message>
      <source>Labels every pixel of a drone orthomosaic as canopy or background with a neural network that runs on this computer, whatever the size of the image. Gives a mask, the probability behind it and the outlines of the canopy; their areas add up to the mask's.

Cancel at any time: blocks that are finished are kept beside a permanent result, and the same run goes on from them.</source>
      <translation>Kennzeichnet jedes Pixel eines Drohnen-Orthomosaiks als Bestand oder Hintergrund, mit einem neuronalen Netz, das auf diesem Rechner läuft, wie groß das Bild auch ist. Ergibt eine Maske, die Wahrscheinlichkeit dahinter und die Umrisse des Bestands; ihre Flächen ergeben zusammen die der Maske.

Jederzeit abbrechen: fertige Blöcke bleiben neben einem dauerhaften Ergebnis liegen, und derselbe Lauf geht von ihnen aus weiter.</translation>
    </message>
    <message>
      <source>GeoTIFF (COG): 0 background, 1 canopy, 255 nodata.</source>
      <translation>GeoTIFF (COG): 0 Hintergrund, 1 Bestand, 255 Nodata.</translation>
    </message>
    <message>
      <source>GeoTIFF (COG) with the probability of canopy, 0–1.</source>
      <translation>GeoTIFF (COG) mit der Wahrscheinlichkeit von Bestand, 0–1.</translation>
    </message>
    <message>
      <source>Outlines of the canopy with their area, perimeter and mean probability.</source>
      <translation>Umrisse des Bestands mit Fläche, Umfang und mittlerer Wahrscheinlichkeit.</translation>
    </message>
    <message>
      <source>Canopy cover (share of the valid area)</source>
      <translation>Deckungsgrad (Anteil der gültigen Fläche)</translation>
    </message>
    <message>
      <source>Canopy area (m²)</source>
      <translation>Bestandsfläche (m²)</translation>
    </message>
    <message>
      <source>Valid area (m²)</source>
      <translation>Gültige Fläche (m²)</translation>
    </message>
    <message>
      <source>Number of outlines</source>
      <translation>Anzahl der Umrisse</translation>
    </message>
    <message>
      <source>No valid pixel lies in the extent.</source>
      <translation>In der Ausdehnung liegt kein gültiges Pixel.</translation>
    </message>
    <message>
      <source>Canopy cover {:.1%} of {:,.1f} m²</source>
      <translation>Deckungsgrad {:.1%} von {:,.1f} m²</translation>
    </message>
    <message>
      <source>{} is no raster file but a {} layer.
→ export it to a GeoTIFF and take that</source>
      <translation>{} ist keine Rasterdatei, sondern ein Layer von {}.
→ in ein GeoTIFF exportieren und dieses nehmen</translation>
    </message>
    <message>
      <source>{} has no CRS, and none is guessed.
→ right-click the layer › Layer CRS › Set Layer CRS …, or write it into the file: gdal_edit.py -a_srs EPSG:&lt;code&gt; &lt;file&gt;</source>
      <translation>{} hat kein KBS, und es wird keines geraten.
→ Rechtsklick auf den Layer › Layer-KBS › Layer-KBS setzen …, oder es in die Datei schreiben: gdal_edit.py -a_srs EPSG:&lt;Nummer&gt; &lt;Datei&gt;</translation>
    </message>
    <message>
      <source>{}: the additional no data values of the layer do not count here; write them into the file, or limit the work to an area.</source>
      <translation>{}: Die zusätzlichen Leerwerte des Layers zählen hier nicht; sie in die Datei schreiben oder die Arbeit auf eine Fläche beschränken.</translation>
    </message>
    <message>
      <source>{} holds no class numbers; it looks like a probability raster.
→ give the mask, whose name ends in _mask.tif</source>
      <translation>{} enthält keine Klassennummern; es sieht nach einem Wahrscheinlichkeitsraster aus.
→ die Maske angeben, deren Name auf _mask.tif endet</translation>
    </message>
    <message>
      <source>{} cannot be given the CRS of its layer ({})</source>
      <translation>{} kann das KBS seines Layers nicht erhalten ({})</translation>
    </message>
    <message>
      <source>From {} to {} places may be off by metres: QGIS lacks the grid {}.</source>
      <translation>Von {} nach {} können Orte um Meter abweichen: QGIS fehlt das Gitter {}.</translation>
    </message>
    <message>
      <source>{} cannot be brought into {}: {}</source>
      <translation>{} kann nicht nach {} gebracht werden: {}</translation>
    </message>
    <message>
      <source>The extent is empty, or has no place in the raster's CRS.</source>
      <translation>Die Ausdehnung ist leer oder hat im KBS des Rasters keinen Ort.</translation>
    </message>
    <message>
      <source>Outlines of the plots, in any CRS. Their own columns are kept.</source>
      <translation>Umrisse der Parzellen, in jedem KBS. Ihre eigenen Spalten bleiben erhalten.</translation>
    </message>
    <message>
      <source>Column of plot names</source>
      <translation>Spalte der Parzellennamen</translation>
    </message>
    <message>
      <source>Names each plot once. Empty: plot_id, plot, id … whichever is there.</source>
      <translation>Benennt jede Parzelle einmal. Leer: plot_id, plot, id … was davon da ist.</translation>
    </message>
    <message>
      <source>The image that the mask was made of; gives colour indices of the canopy.</source>
      <translation>Das Bild, aus dem die Maske entstand; ergibt Farbindizes des Bestands.</translation>
    </message>
    <message>
      <source>What to measure</source>
      <translation>Was gemessen wird</translation>
    </message>
    <message>
      <source>coverage: always measured, alone the fastest by far. objects: plants or patches. rows: rows and their gaps. uniformity: how even the coverage is.</source>
      <translation>coverage: Deckung, immer gemessen, allein bei weitem am schnellsten. objects: Pflanzen oder Flecken. rows: Reihen und ihre Lücken. uniformity: wie gleichmäßig die Deckung ist.</translation>
    </message>
    <message>
      <source>Surface model (DSM)</source>
      <translation>Oberflächenmodell (DSM)</translation>
    </message>
    <message>
      <source>Heights of the surface; with the terrain model they give canopy height and volume.</source>
      <translation>Höhen der Oberfläche; mit dem Geländemodell ergeben sie Bestandshöhe und Volumen.</translation>
    </message>
    <message>
      <source>Terrain model (DTM)</source>
      <translation>Geländemodell (DTM)</translation>
    </message>
    <message>
      <source>Heights of the bare ground; goes together with the surface model.</source>
      <translation>Höhen des nackten Bodens; gehört zum Oberflächenmodell.</translation>
    </message>
    <message>
      <source>Edge to leave out (m)</source>
      <translation>Rand auslassen (m)</translation>
    </message>
    <message>
      <source>Strip inside each plot's outline that is not measured, against edge effects.</source>
      <translation>Streifen am inneren Rand jeder Parzelle, der nicht gemessen wird, gegen Randwirkungen.</translation>
    </message>
    <message>
      <source>Valid share expected</source>
      <translation>Erwarteter gültiger Anteil</translation>
    </message>
    <message>
      <source>Plots of which less is valid are marked.</source>
      <translation>Parzellen, von denen weniger gültig ist, werden gekennzeichnet.</translation>
    </message>
    <message>
      <source>Direction of rows (°)</source>
      <translation>Richtung der Reihen (°)</translation>
    </message>
    <message>
      <source>Degrees clockwise from grid north. Empty: the plot's long side.</source>
      <translation>Grad im Uhrzeigersinn von Gitternord. Leer: die lange Seite der Parzelle.</translation>
    </message>
    <message>
      <source>Distance of rows (m)</source>
      <translation>Abstand der Reihen (m)</translation>
    </message>
    <message>
      <source>Empty: found in each plot.</source>
      <translation>Leer: in jeder Parzelle ermittelt.</translation>
    </message>
    <message>
      <source>Cell of uniformity (m)</source>
      <translation>Zelle der Gleichmäßigkeit (m)</translation>
    </message>
    <message>
      <source>Side of the cells whose coverages are compared within a plot.</source>
      <translation>Seite der Zellen, deren Deckungen innerhalb einer Parzelle verglichen werden.</translation>
    </message>
    <message>
      <source>Corners</source>
      <translation>Ecken</translation>
    </message>
    <message>
      <source>Four points at the outer corners of the trial, in any order, or one polygon.</source>
      <translation>Vier Punkte an den äußeren Ecken des Versuchs, in beliebiger Folge, oder ein Polygon.</translation>
    </message>
    <message>
      <source>Or: point A, lower left corner</source>
      <translation>Oder: Punkt A, Ecke unten links</translation>
    </message>
    <message>
      <source>The corner where row 1 and column 1 meet.</source>
      <translation>Die Ecke, an der sich Reihe 1 und Spalte 1 treffen.</translation>
    </message>
    <message>
      <source>Point B, along the first row</source>
      <translation>Punkt B, entlang der ersten Reihe</translation>
    </message>
    <message>
      <source>Any further point along the first row of plots.</source>
      <translation>Irgendein weiterer Punkt entlang der ersten Parzellenreihe.</translation>
    </message>
    <message>
      <source>Rows of plots</source>
      <translation>Parzellenreihen</translation>
    </message>
    <message>
      <source>Number of rows; not with a template.</source>
      <translation>Anzahl der Reihen; nicht bei einer Vorlage.</translation>
    </message>
    <message>
      <source>Plots in a row</source>
      <translation>Parzellen je Reihe</translation>
    </message>
    <message>
      <source>Number of columns; not with a template.</source>
      <translation>Anzahl der Spalten; nicht bei einer Vorlage.</translation>
    </message>
    <message>
      <source>Plot length (m)</source>
      <translation>Parzellenlänge (m)</translation>
    </message>
    <message>
      <source>From row to row. Empty: as the corners give it.</source>
      <translation>Von Reihe zu Reihe. Leer: wie die Ecken sie ergeben.</translation>
    </message>
    <message>
      <source>Plot width (m)</source>
      <translation>Parzellenbreite (m)</translation>
    </message>
    <message>
      <source>Along a row. Empty: as the corners give it.</source>
      <translation>Entlang einer Reihe. Leer: wie die Ecken sie ergeben.</translation>
    </message>
    <message>
      <source>Alley between rows (m)</source>
      <translation>Weg zwischen den Reihen (m)</translation>
    </message>
    <message>
      <source>Gap between one row of plots and the next.</source>
      <translation>Abstand zwischen einer Parzellenreihe und der nächsten.</translation>
    </message>
    <message>
      <source>Alley between columns (m)</source>
      <translation>Weg zwischen den Spalten (m)</translation>
    </message>
    <message>
      <source>Gap between neighbours in a row.</source>
      <translation>Abstand zwischen Nachbarn einer Reihe.</translation>
    </message>
    <message>
      <source>Empty: the trial is one block.</source>
      <translation>Leer: der Versuch ist ein Block.</translation>
    </message>
    <message>
      <source>Rows of a block</source>
      <translation>Reihen eines Blocks</translation>
    </message>
    <message>
      <source>Columns of a block</source>
      <translation>Spalten eines Blocks</translation>
    </message>
    <message>
      <source>Alley between blocks (m)</source>
      <translation>Weg zwischen den Blöcken (m)</translation>
    </message>
    <message>
      <source>In place of the ordinary alley.</source>
      <translation>Anstelle des gewöhnlichen Weges.</translation>
    </message>
    <message>
      <source>Draw plots in by (m)</source>
      <translation>Parzellen verkleinern um (m)</translation>
    </message>
    <message>
      <source>Every plot is made smaller on all sides.</source>
      <translation>Jede Parzelle wird auf allen Seiten kleiner.</translation>
    </message>
    <message>
      <source>Numbering</source>
      <translation>Nummerierung</translation>
    </message>
    <message>
      <source>row: row after row. column: column after column. serpentine: rows, every other one back. serpentine-column: columns, every other one back.</source>
      <translation>row: Reihe für Reihe. column: Spalte für Spalte. serpentine: Reihen, jede zweite zurück. serpentine-column: Spalten, jede zweite zurück.</translation>
    </message>
    <message>
      <source>First plot</source>
      <translation>Erste Parzelle</translation>
    </message>
    <message>
      <source>Corner of the trial where counting begins: bottom or top, left or right.</source>
      <translation>Ecke des Versuchs, an der die Zählung beginnt: unten (bottom) oder oben (top), links (left) oder rechts (right).</translation>
    </message>
    <message>
      <source>First number</source>
      <translation>Erste Nummer</translation>
    </message>
    <message>
      <source>Number of the first plot, such as 101.</source>
      <translation>Nummer der ersten Parzelle, etwa 101.</translation>
    </message>
    <message>
      <source>Step</source>
      <translation>Schritt</translation>
    </message>
    <message>
      <source>From one number to the next.</source>
      <translation>Von einer Nummer zur nächsten.</translation>
    </message>
    <message>
      <source>Block by block</source>
      <translation>Block für Block</translation>
    </message>
    <message>
      <source>Finish a block before the next.</source>
      <translation>Ein Block wird fertig gezählt, bevor der nächste beginnt.</translation>
    </message>
    <message>
      <source>Names of plots</source>
      <translation>Namen der Parzellen</translation>
    </message>
    <message>
      <source>From number, block, row, column, in_block: {block}-{row:02}-{column:02}. Empty: the number.</source>
      <translation>Aus number, block, row, column, in_block: {block}-{row:02}-{column:02}. Leer: die Nummer.</translation>
    </message>
    <message>
      <source>Further rows lie</source>
      <translation>Weitere Reihen liegen</translation>
    </message>
    <message>
      <source>Left or right of the line from A to B.</source>
      <translation>Links (left) oder rechts (right) der Linie von A nach B.</translation>
    </message>
    <message>
      <source>Turn (°)</source>
      <translation>Drehung (°)</translation>
    </message>
    <message>
      <source>A further turn, counter-clockwise.</source>
      <translation>Eine weitere Drehung, gegen den Uhrzeigersinn.</translation>
    </message>
    <message>
      <source>Error of corners (m)</source>
      <translation>Fehler der Ecken (m)</translation>
    </message>
    <message>
      <source>How far a corner may lie from where the trial would have it. Empty: half a metre.</source>
      <translation>Wie weit eine Ecke von dort liegen darf, wo der Versuch sie hätte. Leer: ein halber Meter.</translation>
    </message>
    <message>
      <source>ROWS and COLUMNS are needed, or a TEMPLATE.</source>
      <translation>ROWS und COLUMNS werden gebraucht, oder ein TEMPLATE.</translation>
    </message>
    <message>
      <source>The place of the trial has no CRS.
→ give the layer or the project one</source>
      <translation>Der Ort des Versuchs hat kein KBS.
→ dem Layer oder dem Projekt eines geben</translation>
    </message>
    <message>
      <source>Outline the canopy of a mask</source>
      <translation>Bestand einer Maske umreißen</translation>
    </message>
    <message>
      <source>polygonize,outlines,vector,canopy,mask</source>
      <translation>vektorisieren,polygonisieren,Umrisse,Vektor,Bestand,Maske</translation>
    </message>
    <message>
      <source>Traces a mask into polygons without seams.</source>
      <translation>Zieht aus einer Maske Polygone ohne Nähte.</translation>
    </message>
    <message>
      <source>Traces a mask into polygons along the edges of its pixels: no seams, no gaps, no overlaps, every geometry valid, and areas that add up to the mask's. Masks of any size are read in strips.</source>
      <translation>Zieht aus einer Maske Polygone entlang der Ränder ihrer Pixel: keine Nähte, keine Lücken, keine Überlappungen, jede Geometrie gültig, und Flächen, die zusammen die der Maske ergeben. Masken jeder Größe werden streifenweise gelesen.</translation>
    </message>
    <message>
      <source>The mask's probability raster; gives every outline its mean probability.</source>
      <translation>Das Wahrscheinlichkeitsraster der Maske; gibt jedem Umriss seine mittlere Wahrscheinlichkeit.</translation>
    </message>
    <message>
      <source>The engine was killed, most likely by the system because memory ran out.</source>
      <translation>Der Rechenkern wurde beendet, sehr wahrscheinlich vom System, weil der Arbeitsspeicher ausging.</translation>
    </message>
    <message>
      <source>close other programs, or set smaller batches, fewer threads or a smaller extent</source>
      <translation>andere Programme schließen, oder eine kleinere Stapelgröße, weniger Threads oder eine kleinere Ausdehnung wählen</translation>
    </message>
    <message>
      <source>That Python does not hold the engine.</source>
      <translation>Dieses Python enthält den Rechenkern nicht.</translation>
    </message>
    <message>
      <source>install the engine, or choose another Python in Settings › Options › CropSeg</source>
      <translation>den Rechenkern installieren oder unter Einstellungen › Optionen › CropSeg ein anderes Python wählen</translation>
    </message>
    <message>
      <source>It said last:
{}</source>
      <translation>Zuletzt sagte er:
{}</translation>
    </message>
    <message>
      <source>A library of the engine is missing or damaged ({}).</source>
      <translation>Eine Bibliothek des Rechenkerns fehlt oder ist beschädigt ({}).</translation>
    </message>
    <message>
      <source>install the engine again; where a virus scanner removes files, except its folder first</source>
      <translation>den Rechenkern neu installieren; entfernt ein Virenscanner Dateien, vorher dessen Ordner ausnehmen</translation>
    </message>
    <message>
      <source>The engine ended without a result ({}).</source>
      <translation>Der Rechenkern endete ohne Ergebnis ({}).</translation>
    </message>
    <message>
      <source>run it again with device cpu; if it happens again, report it with the log</source>
      <translation>noch einmal mit dem Gerät cpu starten; geschieht es wieder, mit dem Protokoll melden</translation>
    </message>
    <message>
      <source>signal {}</source>
      <translation>Signal {}</translation>
    </message>
    <message>
      <source>exit code {}</source>
      <translation>Rückgabewert {}</translation>
    </message>
    <message>
      <source>no answer within {} s</source>
      <translation>keine Antwort binnen {} s</translation>
    </message>
    <message>
      <source>{} holds other files.
→ choose an empty folder for the engine</source>
      <translation>{} enthält andere Dateien.
→ einen leeren Ordner für den Rechenkern wählen</translation>
    </message>
    <message>
      <source>{} holds no wheels (*.whl).
→ choose the folder that does</source>
      <translation>{} enthält keine Wheels (*.whl).
→ den Ordner wählen, der sie enthält</translation>
    </message>
    <message>
      <source>{} cannot be replaced ({}).
→ end jobs that still run, and try again</source>
      <translation>{} kann nicht ersetzt werden ({}).
→ laufende Aufträge beenden und noch einmal versuchen</translation>
    </message>
    <message>
      <source>The engine was installed, but cannot be used.
{}</source>
      <translation>Der Rechenkern wurde installiert, ist aber nicht zu gebrauchen.
{}</translation>
    </message>
    <message>
      <source>The installation failed (exit code {}):
{}
→ {}</source>
      <translation>Die Installation ist gescheitert (Rückgabewert {}):
{}
→ {}</translation>
    </message>
    <message>
      <source>no engine for this plugin is to be had from there: take the plugin's package with the engine in it, or a folder of wheels that holds cropseg-geo; or check the connection and the proxy</source>
      <translation>von dort ist kein Rechenkern für dieses Plugin zu haben: das Paket des Plugins nehmen, das den Rechenkern mitbringt, oder einen Ordner mit Wheels, der cropseg-geo enthält; oder Verbindung und Proxy prüfen</translation>
    </message>
    <message>
      <source>check the connection and the proxy, or install from a folder of wheels</source>
      <translation>Verbindung und Proxy prüfen oder aus einem Ordner mit Wheels installieren</translation>
    </message>
    <message>
      <source>see that the folder for the engine can be written to and that there is space, or install a Python from {} to {} (python.org), restart QGIS and try again</source>
      <translation>prüfen, ob in den Ordner für den Rechenkern geschrieben werden kann und Platz ist, oder ein Python von {} bis {} installieren (python.org), QGIS neu starten und noch einmal versuchen</translation>
    </message>
    <message>
      <source>Making the environment</source>
      <translation>Umgebung anlegen</translation>
    </message>
    <message>
      <source>Collecting the libraries</source>
      <translation>Bibliotheken zusammentragen</translation>
    </message>
    <message>
      <source>Installing the libraries</source>
      <translation>Bibliotheken einrichten</translation>
    </message>
    <message>
      <source>Checking the engine</source>
      <translation>Rechenkern prüfen</translation>
    </message>
    <message>
      <source>Log: {}</source>
      <translation>Protokoll: {}</translation>
    </message>
    <message>
      <source>The engine {} cannot be started ({}).</source>
      <translation>Der Rechenkern {} kann nicht gestartet werden ({}).</translation>
    </message>
    <message>
      <source>choose another Python in Settings › Options › CropSeg, or install the engine again</source>
      <translation>unter Einstellungen › Optionen › CropSeg ein anderes Python wählen oder den Rechenkern neu installieren</translation>
    </message>
    <message>
      <source>Fetching the model</source>
      <translation>Modell laden</translation>
    </message>
    <message>
      <source>Choosing the resolution</source>
      <translation>Wahl der Auflösung</translation>
    </message>
    <message>
      <source>Segmenting</source>
      <translation>Segmentieren</translation>
    </message>
    <message>
      <source>Writing rasters</source>
      <translation>Raster schreiben</translation>
    </message>
    <message>
      <source>Tracing the canopy</source>
      <translation>Bestand umreißen</translation>
    </message>
    <message>
      <source>Measuring plots</source>
      <translation>Parzellen messen</translation>
    </message>
    <message>
      <source>Writing the report</source>
      <translation>Bericht schreiben</translation>
    </message>
    <message>
      <source>unknown accelerator {}; choose one of {}</source>
      <translation>unbekannter Beschleuniger {}; zur Wahl stehen {}</translation>
    </message>
    <message>
      <source>Neither uv nor a Python from {} to {} with venv was found.
→ install uv (docs.astral.sh/uv) or Python (python.org), restart QGIS and try again</source>
      <translation>Weder uv noch ein Python von {} bis {} mit venv wurde gefunden.
→ uv (docs.astral.sh/uv) oder Python (python.org) installieren, QGIS neu starten und noch einmal versuchen</translation>
    </message>
    <message>
      <source>Ready: engine {engine} in {place}</source>
      <translation>Bereit: Rechenkern {engine} in {place}</translation>
    </message>
    <message>
      <source>The engine in {place} is version {engine}, too old for version {plugin} of this plugin.</source>
      <translation>Der Rechenkern in {place} hat die Version {engine}, zu alt für Version {plugin} dieser Erweiterung.</translation>
    </message>
    <message>
      <source>The engine in {place} is version {engine}, newer than version {plugin} of this plugin knows.</source>
      <translation>Der Rechenkern in {place} hat die Version {engine}; Version {plugin} dieser Erweiterung kennt sie noch nicht.</translation>
    </message>
    <message>
      <source>The engine in {place} lacks parts that it needs: {detail}.</source>
      <translation>Dem Rechenkern in {place} fehlen Teile, die er braucht: {detail}.</translation>
    </message>
    <message>
      <source>{place} does not answer as an engine: {detail}</source>
      <translation>{place} antwortet nicht als Rechenkern: {detail}</translation>
    </message>
    <message>
      <source>The engine is not installed yet.</source>
      <translation>Der Rechenkern ist noch nicht installiert.</translation>
    </message>
    <message>
      <source>run CropSeg › Install the engine: it brings the engine up to date</source>
      <translation>CropSeg › Rechenkern installieren ausführen: das bringt den Rechenkern auf den neuesten Stand</translation>
    </message>
    <message>
      <source>update the plugin in Plugins › Manage and Install Plugins › Upgradeable</source>
      <translation>die Erweiterung aktualisieren: Erweiterungen › Erweiterungen verwalten und installieren › Aktualisierbar</translation>
    </message>
    <message>
      <source>run CropSeg › Install the engine again; where a virus scanner removes files, except that folder first</source>
      <translation>CropSeg › Rechenkern installieren noch einmal ausführen; wo ein Virenscanner Dateien entfernt, diesen Ordner vorher ausnehmen</translation>
    </message>
    <message>
      <source>run CropSeg › Install the engine, or choose another Python in Settings › Options › CropSeg; where a virus scanner removes files, except that folder first</source>
      <translation>CropSeg › Rechenkern installieren ausführen oder unter Einstellungen › Optionen › CropSeg ein anderes Python wählen; wo ein Virenscanner Dateien entfernt, diesen Ordner vorher ausnehmen</translation>
    </message>
    <message>
      <source>open the toolbox and run CropSeg › Install the engine</source>
      <translation>in den Verarbeitungswerkzeugen CropSeg › Rechenkern installieren ausführen</translation>
    </message>
    <message>
      <source>Another run writes {} at this moment.
→ wait until it is done, or choose another name</source>
      <translation>Ein anderer Lauf schreibt gerade {}.
→ warten, bis er fertig ist, oder einen anderen Namen wählen</translation>
    </message>
    <message>
      <source>{} cannot be written ({}).
→ remove the layer that shows this file from the project, or choose another name</source>
      <translation>{} kann nicht geschrieben werden ({}).
→ den Layer, der diese Datei zeigt, aus dem Projekt entfernen oder einen anderen Namen wählen</translation>
    </message>
    <message>
      <source>Orthomosaic to plot coverage …</source>
      <translation>Orthomosaik zu Parzellendeckung …</translation>
    </message>
    <message>
      <source>Check before a run …</source>
      <translation>Vor einem Lauf prüfen …</translation>
    </message>
    <message>
      <source>Open the sample field</source>
      <translation>Beispielfeld öffnen</translation>
    </message>
    <message>
      <source>Welcome and installation …</source>
      <translation>Willkommen und Installation …</translation>
    </message>
    <message>
      <source>Settings …</source>
      <translation>Einstellungen …</translation>
    </message>
    <message>
      <source>Help</source>
      <translation>Hilfe</translation>
    </message>
    <message>
      <source>The sample could not be copied: {reason}</source>
      <translation>Das Beispiel konnte nicht kopiert werden: {reason}</translation>
    </message>
    <message>
      <source>CropSeg: mask, canopy outlines and plot coverage of an orthomosaic</source>
      <translation>CropSeg: Maske, Umrisse des Bestands und Parzellendeckung eines Orthomosaiks</translation>
    </message>
    <message>
      <source>Welcome. Three short steps lead to the first coloured plots.</source>
      <translation>Willkommen. Drei kurze Schritte führen zu den ersten gefärbten Parzellen.</translation>
    </message>
    <message>
      <source>Show me</source>
      <translation>Zeigen</translation>
    </message>
    <message>
      <source>CropSeg sample field</source>
      <translation>CropSeg-Beispielfeld</translation>
    </message>
    <message>
      <source>Heights</source>
      <translation>Höhen</translation>
    </message>
    <message>
      <source>Surface height</source>
      <translation>Oberflächenhöhe</translation>
    </message>
    <message>
      <source>Terrain height</source>
      <translation>Geländehöhe</translation>
    </message>
    <message>
      <source>Looking for the engine …</source>
      <translation>Der Rechenkern wird gesucht …</translation>
    </message>
    <message>
      <source>Looking for the CropSeg engine</source>
      <translation>CropSeg-Rechenkern wird gesucht</translation>
    </message>
    <message>
      <source>Installing the CropSeg engine</source>
      <translation>CropSeg-Rechenkern wird installiert</translation>
    </message>
    <message>
      <source>Stopping …</source>
      <translation>Wird angehalten …</translation>
    </message>
    <message>
      <source>Stopped. Nothing was installed.</source>
      <translation>Angehalten. Nichts wurde installiert.</translation>
    </message>
    <message>
      <source>The engine is installed.</source>
      <translation>Der Rechenkern ist installiert.</translation>
    </message>
    <message>
      <source>Processor: small, works everywhere</source>
      <translation>Prozessor: klein, läuft überall</translation>
    </message>
    <message>
      <source>NVIDIA graphics card (CUDA): with PyTorch, much larger</source>
      <translation>NVIDIA-Grafikkarte (CUDA): mit PyTorch, viel größer</translation>
    </message>
    <message>
      <source>Processor or Apple graphics with PyTorch: for models of your own</source>
      <translation>Prozessor oder Apple-Grafik mit PyTorch: für eigene Modelle</translation>
    </message>
    <message>
      <source>Only without internet: a folder of wheels</source>
      <translation>Nur ohne Internet: ein Ordner mit Wheels</translation>
    </message>
    <message>
      <source>Cancel</source>
      <translation>Abbrechen</translation>
    </message>
    <message>
      <source>Computes on</source>
      <translation>Rechnet auf</translation>
    </message>
    <message>
      <source>Wheels</source>
      <translation>Wheels</translation>
    </message>
    <message>
      <source>Collecting …</source>
      <translation>Wird gesammelt …</translation>
    </message>
    <message>
      <source>Collecting CropSeg diagnostics</source>
      <translation>CropSeg-Diagnose wird gesammelt</translation>
    </message>
    <message>
      <source>Copied: paste it into your question or bug report.</source>
      <translation>Kopiert: in die Frage oder den Fehlerbericht einfügen.</translation>
    </message>
    <message>
      <source>Engine</source>
      <translation>Rechenkern</translation>
    </message>
    <message>
      <source>Python of the engine's environment</source>
      <translation>Python der Umgebung des Rechenkerns</translation>
    </message>
    <message>
      <source>Found by itself</source>
      <translation>Wird selbst gefunden</translation>
    </message>
    <message>
      <source>Find</source>
      <translation>Suchen</translation>
    </message>
    <message>
      <source>Empty the field and look in the usual places</source>
      <translation>Das Feld leeren und an den üblichen Orten suchen</translation>
    </message>
    <message>
      <source>Install or update …</source>
      <translation>Installieren oder aktualisieren …</translation>
    </message>
    <message>
      <source>Python</source>
      <translation>Python</translation>
    </message>
    <message>
      <source>Runs</source>
      <translation>Läufe</translation>
    </message>
    <message>
      <source>Automatic: a graphics card if there is one</source>
      <translation>Automatisch: eine Grafikkarte, wenn es eine gibt</translation>
    </message>
    <message>
      <source>Processor (CPU)</source>
      <translation>Prozessor (CPU)</translation>
    </message>
    <message>
      <source>NVIDIA graphics card (CUDA)</source>
      <translation>NVIDIA-Grafikkarte (CUDA)</translation>
    </message>
    <message>
      <source>Apple graphics (MPS)</source>
      <translation>Apple-Grafik (MPS)</translation>
    </message>
    <message>
      <source>Open the folder</source>
      <translation>Ordner öffnen</translation>
    </message>
    <message>
      <source>Logs</source>
      <translation>Protokolle</translation>
    </message>
    <message>
      <source>If something does not work</source>
      <translation>Wenn etwas nicht geht</translation>
    </message>
    <message>
      <source>Copy diagnostics</source>
      <translation>Diagnose kopieren</translation>
    </message>
    <message>
      <source>Versions, memory, disk and the end of the last log; look through it before you post it.</source>
      <translation>Versionen, Arbeitsspeicher, Plattenplatz und das Ende des letzten Protokolls; bitte vor dem Veröffentlichen durchsehen.</translation>
    </message>
    <message>
      <source>Welcome to CropSeg</source>
      <translation>Willkommen bei CropSeg</translation>
    </message>
    <message>
      <source>Close</source>
      <translation>Schließen</translation>
    </message>
    <message>
      <source>Finish</source>
      <translation>Fertig</translation>
    </message>
    <message>
      <source>The engine is being installed. Stop the installation?</source>
      <translation>Der Rechenkern wird gerade installiert. Die Installation anhalten?</translation>
    </message>
    <message>
      <source>1  The engine</source>
      <translation>1  Der Rechenkern</translation>
    </message>
    <message>
      <source>2  A sample field</source>
      <translation>2  Ein Beispielfeld</translation>
    </message>
    <message>
      <source>3  What next</source>
      <translation>3  Wie weiter</translation>
    </message>
    <message>
      <source>Back</source>
      <translation>Zurück</translation>
    </message>
    <message>
      <source>Next</source>
      <translation>Weiter</translation>
    </message>
    <message>
      <source>Canopy and plot coverage from drone orthomosaics. Three steps to the first result.</source>
      <translation>Bestand und Parzellendeckung aus Drohnen-Orthomosaiken. Drei Schritte zum ersten Ergebnis.</translation>
    </message>
    <message>
      <source>Python of an environment that holds cropseg-geo</source>
      <translation>Python einer Umgebung, die cropseg-geo enthält</translation>
    </message>
    <message>
      <source>Use it</source>
      <translation>Verwenden</translation>
    </message>
    <message>
      <source>Install or choose another engine …</source>
      <translation>Anderen Rechenkern installieren oder wählen …</translation>
    </message>
    <message>
      <source>The engine</source>
      <translation>Der Rechenkern</translation>
    </message>
    <message>
      <source>The neural network runs in a program of its own beside QGIS, in its own Python environment. Nothing in QGIS is changed, and your pictures stay on this computer.</source>
      <translation>Das neuronale Netz läuft in einem eigenen Programm neben QGIS, in einer eigenen Python-Umgebung. An QGIS ändert sich nichts, und die Bilder bleiben auf diesem Rechner.</translation>
    </message>
    <message>
      <source>Install it again</source>
      <translation>Neu installieren</translation>
    </message>
    <message>
      <source>Install it</source>
      <translation>Installieren</translation>
    </message>
    <message>
      <source>Or use one that is there</source>
      <translation>Oder einen vorhandenen verwenden</translation>
    </message>
    <message>
      <source>A sample field</source>
      <translation>Ein Beispielfeld</translation>
    </message>
    <message>
      <source>A small field trial to try everything with: an orthomosaic at 1 cm, heights, and 32 plots of maize, soybean, beet and cabbage sown on four dates. It was generated, so that the truth is known, and it may be used freely (CC0).</source>
      <translation>Ein kleiner Feldversuch, an dem sich alles ausprobieren lässt: ein Orthomosaik mit 1 cm, Höhen und 32 Parzellen mit Mais, Sojabohne, Rübe und Kohl, an vier Tagen gesät. Es wurde künstlich erzeugt, damit die Wahrheit bekannt ist, und darf frei verwendet werden (CC0).</translation>
    </message>
    <message>
      <source>Its files are copied to</source>
      <translation>Die Dateien werden kopiert nach</translation>
    </message>
    <message>
      <source>What next</source>
      <translation>Wie weiter</translation>
    </message>
    <message>
      <source>Run the whole job</source>
      <translation>Alles in einem Lauf</translation>
    </message>
    <message>
      <source>Mask, canopy outlines, plot coverage and a report in one go. With the sample field open, everything is filled in: press Run, and the plots take their colours.</source>
      <translation>Maske, Umrisse des Bestands, Parzellendeckung und Bericht auf einmal. Ist das Beispielfeld offen, ist alles schon ausgefüllt: Starten drücken, und die Parzellen färben sich.</translation>
    </message>
    <message>
      <source>Open the toolbox</source>
      <translation>Werkzeugkiste öffnen</translation>
    </message>
    <message>
      <source>Each step is an algorithm under CropSeg: alone, in batch, or in the model designer.</source>
      <translation>Jeder Schritt ist ein Algorithmus unter CropSeg: einzeln, im Stapel oder in der grafischen Modellierung.</translation>
    </message>
    <message>
      <source>Read the help</source>
      <translation>Hilfe lesen</translation>
    </message>
    <message>
      <source>A page with pictures for every algorithm, and what to do when something is in the way.</source>
      <translation>Eine Seite mit Bildern für jeden Algorithmus, und was zu tun ist, wenn etwas im Weg steht.</translation>
    </message>
    <message>
      <source>You find all this again under Raster › CropSeg, and the settings under Settings › Options › CropSeg.</source>
      <translation>All das findet sich auch unter Raster › CropSeg, die Einstellungen unter Einstellungen › Optionen › CropSeg.</translation>
    </message>
  </context>
</TS>
