/** Titles of the recipe's parameters in both languages, and their help in Polish; the English help is the recipe's own. */
import type { Field } from '../schema';
import type { Language } from './index.svelte';

interface Words {
  en: string;
  pl: string;
  helpPl: string;
}

export const FIELD_WORDS: Record<string, Words> = {
  look: {
    en: 'Look',
    pl: 'Wygląd',
    helpPl: 'Nazwany zestaw wartości; to, co ustawisz osobno, ma pierwszeństwo.',
  },
  content_weight: {
    en: 'Content weight',
    pl: 'Waga treści',
    helpPl: 'Waga zgodności ze zdjęciem. Liczą się tylko stosunki trzech wag; 0 wyłącza składnik.',
  },
  style_weight: { en: 'Style weight', pl: 'Waga stylu', helpPl: 'Waga zgodności ze stylem.' },
  tv_weight: {
    en: 'Smoothness weight',
    pl: 'Waga gładkości',
    helpPl: 'Waga całkowitej wariacji, która wygładza szum między sąsiednimi pikselami.',
  },
  strength: {
    en: 'Strength',
    pl: 'Siła',
    helpPl: 'Ile z obrazu: 0 zwraca zdjęcie, 50 to równowaga wag, 100 to sama faktura.',
  },
  style_loss: {
    en: 'Style comparison',
    pl: 'Porównanie stylu',
    helpPl:
      'Co jest porównywane: macierze Grama (gram), średnia i kowariancja (moments), macierze Grama z histogramami (histogram), cały rozkład wzdłuż losowych kierunków (sliced) albo w każdym miejscu najlepiej pasujące miejsce obrazu (neighbors).',
  },
  style_blend: {
    en: 'Style shares',
    pl: 'Udziały stylów',
    helpPl: 'Udziały kilku stylów, np. 0.7, 0.3; liczą się tylko stosunki. Domyślnie równe.',
  },
  style_scale: {
    en: 'Stroke size',
    pl: 'Wielkość pociągnięć',
    helpPl:
      'Wielkość pociągnięć stylu: 2 patrzy na obraz dwa razy większy. Jedna liczba albo po jednej na styl.',
  },
  style_rotations: {
    en: 'Rotated neighbors',
    pl: 'Obrócone sąsiedztwa',
    helpPl: 'Szukaj sąsiadów także w obrazie obróconym o ćwierć obrotu (tylko przy porównaniu neighbors).',
  },
  auto_mask: {
    en: 'Automatic regions',
    pl: 'Automatyczne obszary',
    helpPl:
      'Znajdź tyle podobnych obszarów w zdjęciu i w stylu i maluj każdy według jego odpowiednika; 0 wyłącza.',
  },
  texture: {
    en: 'Texture',
    pl: 'Faktura',
    helpPl:
      'Jak silnie działają macierze Grama drobnych warstw obok najbliższych sąsiadów: więcej daje większy kontrast i drobniejsze pociągnięcia, 0 spokojniejsze płaszczyzny (bez skutku przy innych miarach stylu).',
  },
  model: {
    en: 'Encoder',
    pl: 'Sieć',
    helpPl:
      'Sieć, której cechy są porównywane: vgg19, vgg16, compact (jest w pakiecie i nie wymaga pobierania) albo inna, którą dopuszcza usługa.',
  },
  finish: {
    en: 'Finishing encoder',
    pl: 'Sieć wykańczająca',
    helpPl:
      'Sieć, która wykonuje ostatnie iteracje, np. vgg19:8: compact maluje większość, a pełna sieć wykańcza.',
  },
  accelerate: {
    en: 'Accelerate',
    pl: 'Przyspieszenie',
    helpPl:
      'Mała sieć przechodzi długą drogę, a wybrana wykańcza, jeśli w pakiecie jest sieć, która ją naśladuje (compact dla vgg19): prawie ten sam obraz kilka razy szybciej. off używa wybranej sieci od początku do końca.',
  },
  content_layers: {
    en: 'Content layers',
    pl: 'Warstwy treści',
    helpPl: 'Warstwy porównania ze zdjęciem, z wagami, np. relu4_2:1. Domyślnie własne warstwy sieci.',
  },
  style_layers: {
    en: 'Style layers',
    pl: 'Warstwy stylu',
    helpPl:
      'Warstwy porównania ze stylem, z wagami, np. relu1_1:1,relu2_1:0.5. Domyślnie własne warstwy sieci.',
  },
  tile_edge: {
    en: 'Edge of tiles',
    pl: 'Bok kafelków',
    helpPl:
      'Liczy obraz w kafelkach o mniej więcej takim boku: ten sam cel w ułamku pamięci, za najwyżej dwukrotny czas. Domyślnie w całości, jeśli mieści się w pamięci, w przeciwnym razie największe kafelki, które się mieszczą.',
  },
  kept_targets: {
    en: 'Kept targets',
    pl: 'Przechowywane cele',
    helpPl:
      'Jak obraz w kafelkach przechowuje to, z czym porównywane są jego cechy, miejsce po miejscu: tak jak są, w połowie precyzji albo wcale, czyli liczone na nowo w każdej iteracji (bez skutku dla obrazu w jednym kawałku).',
  },
  layer_falloff: {
    en: 'Falloff of layers',
    pl: 'Spadek wag warstw',
    helpPl:
      'Ile razy maleją wagi kolejnych, głębszych warstw stylu: przy 2 jest mniej motywów obrazu, a więcej pociągnięć pędzla (bez skutku, gdy podano warstwy stylu).',
  },
  smoothing: {
    en: 'Feature smoothing',
    pl: 'Wygładzanie cech',
    helpPl: 'Wyrównuje cechy własnej sieci funkcją softmax o tej temperaturze; 0 wyłącza.',
  },
  pooling: {
    en: 'Pooling',
    pl: 'Łączenie (pooling)',
    helpPl: 'Łączenie między blokami sieci; average jest gładsze, jego wzmocnienie jest wyrównane.',
  },
  padding: {
    en: 'Border',
    pl: 'Brzeg',
    helpPl: 'Jak sieć przedłuża obraz poza jego brzeg.',
  },
  precision: {
    en: 'Precision',
    pl: 'Precyzja',
    helpPl:
      'Arytmetyka sieci. auto bierze bfloat16 tam, gdzie urządzenie liczy ją sprzętowo (połowa pamięci i około połowy czasu), a gdzie indziej float32; float16 i tf32 są dla kart graficznych.',
  },
  preserve_color: {
    en: 'Keep colors',
    pl: 'Zachowanie kolorów',
    helpPl:
      'Zachowaj kolory zdjęcia: luminance maluje w szarości i potem koloruje, histogram i linear dopasowują wcześniej kolory stylu, oklab maluje w kolorze i bierze samą jasność.',
  },
  color_strength: {
    en: 'Strength of keeping colors',
    pl: 'Siła zachowania kolorów',
    helpPl: 'Jak bardzo zachować kolory, od 0 (wcale) do 100.',
  },
  optimizer: { en: 'Optimizer', pl: 'Optymalizator', helpPl: 'Metoda, która zmienia piksele.' },
  init_method: {
    en: 'Start',
    pl: 'Początek',
    helpPl: 'Od czego zaczyna obraz: od szumu, zdjęcia albo (pierwszego) stylu.',
  },
  total_iterations: {
    en: 'Iterations',
    pl: 'Iteracje',
    helpPl:
      'Liczba obliczeń funkcji celu z gradientem, na wszystkich poziomach razem. Domyślnie zależy od optymalizatora.',
  },
  learning_rate: {
    en: 'Step of Adam',
    pl: 'Krok Adama',
    helpPl: 'Długość kroku optymalizatora adam (bez skutku przy lbfgs).',
  },
  history_size: {
    en: 'History of L-BFGS',
    pl: 'Historia L-BFGS',
    helpPl: 'Ile par krzywizny pamięta L-BFGS; każda zajmuje pamięć dwóch obrazów (bez skutku przy adam).',
  },
  plateau: {
    en: 'Stop early',
    pl: 'Wcześniejszy koniec',
    helpPl:
      'Zakończ poziom, gdy 50 iteracji obniża funkcję celu o mniej niż ten ułamek; 0 nigdy. Domyślnie 0.03, a 0, gdy podano liczbę iteracji.',
  },
  seed: { en: 'Seed', pl: 'Ziarno losowości', helpPl: 'Ziarno szumu dla losowego początku.' },
  tileable: {
    en: 'Tileable',
    pl: 'Powtarzalny wzór',
    helpPl:
      'Brzegi obrazu pasują do siebie, więc można go układać obok siebie; boki stają się wielokrotnością 16 pikseli.',
  },
  height: { en: 'Height', pl: 'Wysokość', helpPl: 'Wysokość obrazu; szerokość wynika z proporcji zdjęcia.' },
  size: { en: 'Longest edge', pl: 'Dłuższy bok', helpPl: 'Dłuższy bok obrazu, zamiast wysokości.' },
  levels: {
    en: 'Levels',
    pl: 'Poziomy',
    helpPl:
      'Poziomy piramidy od zgrubnego do dokładnego, każdy dwa razy większy od poprzedniego; 1 to klasyczny przebieg.',
  },
  min_size: {
    en: 'Smallest level',
    pl: 'Najmniejszy poziom',
    helpPl: 'Najkrótszy bok, poniżej którego auto nie dodaje kolejnego poziomu.',
  },
  bit_depth: {
    en: 'Bit depth',
    pl: 'Głębia bitowa',
    helpPl: 'Liczba bitów na kanał w pliku; auto zachowuje głębię zdjęcia, jeśli format na to pozwala.',
  },
  keep_profile: {
    en: 'Keep the color profile',
    pl: 'Zachowaj profil kolorów',
    helpPl: 'Zapisz w profilu kolorów zdjęcia zamiast sRGB.',
  },
};

/** What people call a thing who do not know its name, in both languages. */
export const SEARCH_WORDS: Record<string, string> = {
  strength: 'intensity amount how much intensywność ile',
  content_weight: 'photo likeness podobieństwo',
  style_weight: 'painting texture faktura',
  tv_weight: 'smooth noise grain sharp crisp szum ziarno ostrość wygładzanie',
  preserve_color: 'colour colours keep original palette kolory barwy zachowaj paleta',
  color_strength: 'colour colours saturation kolory barwy nasycenie',
  model: 'network vgg quality speed faster sieć jakość szybciej',
  accelerate: 'speed fast faster slow szybciej wolno przyspieszenie',
  precision: 'speed fast faster memory szybciej pamięć',
  total_iterations: 'steps quality speed longer faster kroki jakość dłużej szybciej',
  plateau: 'early stop speed faster szybciej koniec',
  levels: 'pyramid resolution piramida',
  height: 'size resolution large big print width rozmiar rozdzielczość druk szerokość',
  size: 'resolution large big print width rozmiar rozdzielczość druk szerokość',
  init_method: 'beginning noise random szum losowy',
  seed: 'random variation losowość odmiana',
  tileable: 'seamless repeat wallpaper texture bezszwowy tapeta tekstura',
  auto_mask: 'mask segment regions maska obszary',
  bit_depth: 'print tiff 16 druk',
  keep_profile: 'print icc colour druk kolory',
};

/** Title and help of a parameter; one that is newer than this list goes by its own name. */
export function fieldText(
  field: Pick<Field, 'name' | 'help'>,
  language: Language,
): { title: string; help: string } {
  const words = FIELD_WORDS[field.name];
  const own = field.name.replaceAll('_', ' ').replace(/^./, (letter) => letter.toUpperCase());
  const help = language === 'pl' ? (words?.helpPl ?? field.help) : field.help;
  return { title: words?.[language] ?? own, help };
}

export const LOOKS_PL: Record<string, string> = {
  classic: 'Przepis z literatury: paleta i faktura obrazu na całym zdjęciu, razem z motywami.',
  painterly:
    'Drobne pociągnięcia i paleta obrazu, z mniejszą liczbą motywów. Dobra pierwsza próba dla każdej pary.',
  faithful: 'Każda forma zostaje na miejscu, malowana farbą obrazu: portrety i architektura.',
  bold: 'Duże pociągnięcia i całe motywy obrazu, mniej zdjęcia: plakaty, obrazy abstrakcyjne.',
  neighbors: 'Każde miejsce malowane jak pasujące do niego miejsce obrazu: pociągnięcia idą za formami.',
};
