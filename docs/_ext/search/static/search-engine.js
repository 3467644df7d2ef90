// How a query finds pages. MiniSearch keeps the terms of each section and weighs them (BM25 over fields). Here stands
// what it leaves to its users: how text is cut into terms, which other words a query stands for, which words are
// misspelled, what a text that holds the query word for word is worth, and how sections make a page. The site and its
// tests run this same code; the words that mean the same come with the index.
(() => {
  "use strict";
  const HAN = /[\u3400-\u9fff]/;
  const WORDS = /[\u3400-\u9fff]+|[a-z0-9_]+(?:[.'’-]+[a-z0-9_]+)*/gi;
  const WEIGHTS = { title: 2, heading: 3, text: 1, names: 0.7 };
  const PART = 0.4; // of a name that the site does not have as a whole, such as fused_adam; 0.2 of one that it has
  const SYNONYM = 0.8; // of a word that the site hardly has; 0.3 of one that is COMMON
  const COMMON = 2; // pages or more have a word
  const EVERYWHERE = 0.25; // of a word that all pages have; a word of one page counts fully
  const KIND = 0.3; // of an exception's name, which says of what kind an error is, not what it is about
  const VERBATIM = 1; // each further telling word that a text has in the order of the query adds the whole score again
  const WHOLE = 0.75; // of a word, however common, if a text has all of the query word for word, four words or more
  const HAN_WORD = 0.35; // of a Chinese character, as a part of a word
  const COMPARED = 100; // sections, the best ones, that are compared with the query word by word
  const EXPLAINED = 2; // the page that explains a name of the query counts so many times
  const FURTHER = 0.4; // each further section of a page counts so much of what the one before counts
  const ASIDE = 0.3; // a page that touches on everything comes after the one that explains it

  // Python's message about a name that is missing: module 'torch' has no attribute 'qr'.
  const MISSING = /['"](\w+)['"](?: object)? has no attribute ['"](\w+)['"]/g;

  // What a question is asked with, not what it asks for. Chinese is cut at such words.
  const FILLERS = new Set(
    ("a an and are as at be but by can could did do does doing for from get give got had has have how i if in into is it its me my need " +
      "not of on or our please shall should show so some than that the their them then there these this to use using want was way we " +
      "what when where which while who why will with work works would you your").split(" "));
  const HAN_FILLERS =
    /怎么样|怎么办|怎么|怎样|如何|为什么|为何|什么是|是什么|什么|哪些|哪个|哪里|请问|应该|可以|能不能|要不要|是否|有没有|有什么|需要|出现|时候|一下|一个|自己的|[的了吗呢吧啊是在和与或把被让给对从到用会能要我你它们这那有]/g;

  // The common form of an English word's plural, verb forms and British spelling. It need not be a word.
  function stem(word) {
    if (word.length < 4 || !/^[a-z]+$/.test(word)) return word;
    return word
      .replace(/i[sz]ations?$/, "ize").replace(/is(e[drs]?|ing|ers)$/, "iz$1").replace(/our$/, "or")
      .replace(/(..[aeiou].*[^s])s$|(ss|us)es$/, "$1$2").replace(/^(.*[aeiouy].*)(ing|ed)$/, "$1").replace(/(?<=..)(e|ation)$/, "")
      .replace(/y$/, "i").replace(/([^aeiou])\1$/, "$1");
  }

  // The terms of a word: pairs of Chinese characters, or a name whole and in parts (nn.conv2d, conv2d, conv, 2d).
  function cut(word) {
    if (HAN.test(word)) return word.length < 2 ? [word] : [...word].slice(1).map((character, i) => word[i] + character);
    const names = word.split(".");
    const terms = names.length > 1 ? [word.toLowerCase()] : [];
    for (const name of names) {
      const parts = name.match(/[A-Z]+(?![a-z])\d*|[A-Z]?[a-z]+|\d+[a-z]*/g) ?? [];
      for (const part of [name.replace(/[^a-z0-9]+/gi, ""), ...parts]) terms.push(stem(part.toLowerCase()));
    }
    return [...new Set(terms)].filter((term) => /[a-z]/.test(term) && !/^\d+x\d+$/.test(term));
  }
  // How many letters have to be put in, left out, changed, or swapped with the next one, to make one word of another.
  function distance(a, b) {
    let [before, last] = [[], [...b, ""].map((_, i) => i)];
    for (let i = 1; i <= a.length; i++) {
      const row = [i];
      for (let j = 1; j <= b.length; j++) {
        row[j] = Math.min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] !== b[j - 1]));
        if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) row[j] = Math.min(row[j], before[j - 2] + 1);
      }
      [before, last] = [last, row];
    }
    return last[b.length];
  }

  const cuts = new Map(); // the same words come again and again
  function cutOnce(word) {
    if (!cuts.has(word)) cuts.set(word, cut(word));
    return cuts.get(word);
  }
  const split = (text) => text.match(WORDS) ?? [];
  const isFiller = (word) => FILLERS.has(word.toLowerCase());
  const toTerms = (text) => split(text).flatMap(cutOnce);
  // The words of a text in one string, to look for names in it. A dotted name is one word, a hyphen parts two.
  const toKey = (text) => ` ${split(text.replace(/[-_]/g, " ")).map((word) => cutOnce(word)[0] ?? word).join(" ")} `;

  async function createSearch(MiniSearch, pages, { synonyms, traditional, aside: pagesAside, explains = {} }) {
    const aside = new Set(pagesAside);
    const simplified = new Map(traditional.match(/../gu).map((pair) => [...pair]));
    const known = new Map(); // how many pages have a term
    const lastPage = new Map();
    let page;
    const count = (term) => {
      if (lastPage.get(term) !== page) known.set(term, (known.get(term) ?? 0) + 1);
      lastPage.set(term, page);
      return term;
    };
    // Of an entry of the API, the whole name and the last one; the module is in its text.
    const cutHeading = (text) => (/^\w+(\.\w+)+$/.test(text) ? [cutOnce(text)[0], ...toTerms(text.split(".").pop())] : toTerms(text));
    const index = new MiniSearch({
      fields: Object.keys(WEIGHTS),
      extractField: (section, field) => ((page = section.url), field === "id" ? section.id : section[field]),
      tokenize: (text, field) => (field === "heading" ? cutHeading(text) : toTerms(text)).map(count),
      processTerm: (term) => term,
    });
    const sections = pages.flatMap(([url, title, parts]) =>
      parts.map(([anchor, heading, text, names], i) => ({ url, title, anchor: i ? anchor : "", heading, text, names })));
    // A phone must answer between two chunks.
    await index.addAllAsync(sections.map((section, id) => ({ ...section, id })), { chunkSize: 10 });

    // The words as they are written, for those that are misspelled.
    const written = [...cuts.keys(), ...synonyms.flat()].flatMap((word) => word.toLowerCase().split(/[^a-z]+/));
    const spellings = [...new Set(written)].filter((word) => word.length > 3);
    // The page that explains a name, whole or by its last part.
    const explainedBy = new Map();
    for (const [url, names] of Object.entries(explains)) {
      for (const part of names.flatMap((name) => [name, name.split(".").pop()])) explainedBy.set(cutOnce(part)[0], url);
    }
    const isKnown = (name) => toTerms(name).every((term) => known.has(term));
    const simplify = (query) => [...query.normalize("NFKC")].map((character) => simplified.get(character) ?? character).join("");

    // The words that a query asks for. A single word is always asked for: it may be torch's "where".
    function wordsOf(query) {
      if (/^\w+$/.test(query.trim())) return split(query);
      return split(query.replace(HAN_FILLERS, " ")).filter((word) => !isFiller(word));
    }

    // The words of the site that a misspelled word is nearest to: one letter may be wrong, in a long word two.
    function corrections(word) {
      if (!/^[a-z]{5,}$/.test(word)) return [];
      let [near, nearest] = [[], word.length < 9 ? 1 : 2];
      for (const other of spellings) {
        if (Math.abs(other.length - word.length) > nearest) continue;
        const far = distance(word, other);
        if (far < nearest) [near, nearest] = [[], far];
        if (far === nearest) near.push(other);
      }
      const pagesWith = (other) => known.get(stem(other)) ?? 0;
      return near.sort((a, b) => pagesWith(b) - pagesWith(a)).slice(0, 3);
    }

    // The Chinese terms that a query has with one wrong character, where it is no word of the site.
    const hanTerms = new Set(synonyms.flat().filter((name) => /^[\u3400-\u9fff]{2,}$/.test(name) && isKnown(name)));
    function hanCorrections(word) {
      const unknown = (i) => i >= 0 && i + 2 <= word.length && !known.has(word.slice(i, i + 2));
      const joins = (i) => i < 0 || i + 2 > word.length || unknown(i); // it does not only join two words
      const isMisspelled = (term, i) => {
        const part = word.slice(i, i + term.length);
        if (part.length < term.length || [...part].filter((character, j) => character !== term[j]).length !== 1) return false;
        return term.length > 2 ? cutOnce(part).some((pair) => !known.has(pair)) : unknown(i) && joins(i - 1) && joins(i + 1);
      };
      return [...hanTerms].filter((term) => [...word].some((_, i) => isMisspelled(term, i)));
    }

    // How much a term says: little if most pages have it.
    function telling(term) {
      return EVERYWHERE + ((1 - EVERYWHERE) * Math.log(pages.length / (known.get(term) ?? 1))) / Math.log(pages.length);
    }

    // The words of a section, in order, to compare a query with; a Chinese character is a word.
    const toWords = (text) => text.toLowerCase().match(/[\u3400-\u9fff]|[a-z0-9_]+/g) ?? [];
    const spoken = new Map();
    function speak(id) {
      const { heading, text } = sections[id];
      if (!spoken.has(id)) spoken.set(id, ` ${toWords(`${heading} ${text}`).join(" ")} `);
      return spoken.get(id);
    }

    // The longest part of a query that a section has word for word: how many words it has that are asked for.
    function verbatim(words, id) {
      const section = speak(id);
      const all = Math.max(4, words.filter((word) => !/.(error|exception)$/.test(word)).length);
      let longest = 0;
      for (let from = 0, to = 1; to <= words.length; ) {
        const part = words.slice(from, to);
        if (from < to && section.includes(` ${part.join(" ")} `)) {
          longest = Math.max(longest, part.reduce((sum, word) => sum + (HAN.test(word) ? HAN_WORD : isFiller(word) ? 0 : telling(stem(word))), 0));
          if (part.length >= all) longest = Math.max(longest, WHOLE * part.length);
          to++;
        } else if (++from >= to) to = from + 1;
      }
      return longest;
    }

    // Search for the terms of a query, their weights, and the other names of things that the site does not call so.
    function understand(query) {
      const weights = new Map();
      const others = new Set();
      const named = new Set(); // terms of words that have other names
      const add = (term, weight) => weights.set(term, Math.max(weight, weights.get(term) ?? 0));
      const correct = (name) => {
        for (const term of toTerms(name)) add(term, SYNONYM);
        others.add(name);
      };
      for (const word of wordsOf(query)) {
        const [whole, ...parts] = cutOnce(word);
        if (!whole) continue;
        const weight = /.(Error|Exception)$/.test(word) && query.length > word.length ? KIND : 1;
        add(whole, weight);
        for (const part of parts) add(part, HAN.test(word) ? 1 : weight * (known.has(whole) ? PART / 2 : PART));
        if (!HAN.test(word) && !known.has(whole) && !isBegun(word.toLowerCase())) corrections(word.toLowerCase()).forEach(correct);
        if (HAN.test(word)) hanCorrections(word).forEach(correct);
      }
      const [text, key] = [[query.toLowerCase(), ...others].join(" "), toKey([query, ...others].join(" "))];
      const isSaid = (name) => (!HAN.test(name) ? key.includes(toKey(name)) : name.length > 1 ? text.includes(name) : text === name);
      for (const group of synonyms) {
        const said = group.find(isSaid);
        if (said) for (const term of toTerms(said)) named.add(term);
        for (const other of said ? group.filter((name) => name !== said && isKnown(name)) : []) {
          for (const term of toTerms(other)) add(term, isCommon(said) ? 0.3 : SYNONYM);
          if (!isKnown(said)) others.add(other);
        }
      }
      return { weights, named, others: [...others] };
    }
    const isCommon = (name) => toTerms(name).every((term) => known.get(term) >= COMMON);
    // Has the site a word that begins like this one, which may still be typed?
    const isBegun = (word) => spellings.some((other) => other.startsWith(word));

    // The names of code in a query: numPy, num_py, num.py, or all of the query.
    function namesIn(query) {
      const words = wordsOf(query);
      return words.filter((word) => words.length < 2 || /[a-z0-9][A-Z._]|[A-Z][a-z]*[A-Z0-9]/.test(word)).map((word) => cutOnce(word)[0]);
    }

    // The pages that are the only ones to have one of the terms.
    function onlyPages(terms, found) {
      const pagesOf = (term) => new Set(found.filter((each) => each.queryTerms.includes(term)).map((each) => sections[each.id].url));
      return new Set(terms.map(pagesOf).filter((urls) => urls.size === 1).flatMap((urls) => [...urls]));
    }

    // Rank all pages that have any of the terms: { results: [{ section, terms }], others }.
    function search(query) {
      query = simplify(query).replace(MISSING, "$& $1.$2");
      const { weights, named, others } = understand(query);
      const terms = [...weights.keys()];
      const isUnknown = (term) => !known.has(term);
      const found = index.search("", {
        tokenize: () => terms,
        boost: WEIGHTS,
        boostTerm: (term) => weights.get(term) * telling(term),
        prefix: (term, i) => (HAN.test(term) ? term.length < 2 : term.length > 2 && (isUnknown(term) || i === terms.length - 1)),
      });
      // The library multiplies a score by the number of terms found; it should be by their weights.
      for (const each of found) each.score *= each.queryTerms.reduce((sum, term) => sum + weights.get(term), 0) / each.queryTerms.length;
      found.sort((a, b) => b.score - a.score || a.id - b.id);
      const words = toWords(query).slice(0, 60);
      for (const each of found.slice(0, COMPARED)) each.score *= 1 + VERBATIM * Math.max(0, verbatim(words, each.id) - 1);
      found.sort((a, b) => b.score - a.score || a.id - b.id);
      const explained = new Set(namesIn(query).map((name) => explainedBy.get(name)));
      const isAlone = onlyPages(terms.filter((term) => known.has(term) && !named.has(term) && weights.get(term) === 1), found);
      const results = new Map();
      for (const { id, score, terms } of found) {
        const { url } = sections[id];
        if (!results.has(url)) results.set(url, { section: sections[id], terms: new Set(terms), score: 0, weight: 1 });
        const page = results.get(url);
        page.score += score * page.weight * (aside.has(url) && !isAlone.has(url) ? ASIDE : 1);
        page.weight *= FURTHER;
      }
      for (const [url, page] of results) if (explained.has(url)) page.score *= EXPLAINED;
      return { results: [...results.values()].sort((a, b) => b.score - a.score), others };
    }

    // The sections whose headings look most like a query that found nothing.
    function nearest(query) {
      const terms = wordsOf(simplify(query)).flatMap(cutOnce);
      const found = index.search("", { tokenize: () => terms, fields: ["heading"], fuzzy: 0.4, maxFuzzy: 4, prefix: true });
      return found.slice(0, 5).map(({ id }) => sections[id]);
    }
    return { search, nearest };
  }

  // Where terms stand in a text: [from, to, term], in order.
  function locate(text, terms) {
    const places = [];
    for (const { 0: word, index } of text.matchAll(WORDS)) {
      cutOnce(word).forEach((term, i) => {
        if (terms.has(term)) places.push(HAN.test(word) ? [index + i, index + i + term.length, term] : [index, index + word.length, term]);
      });
    }
    return places;
  }

  globalThis.handbookSearch = { createSearch, locate };
})();
