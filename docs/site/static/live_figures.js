// Wakes a figure when it comes into sight: loads plotly.js (once), then the figure's data, and draws it where its
// picture stood. Works from a server and from a folder; without scripts the picture stays.
(() => {
  const plotly = new URL("plotly.min.js", document.currentScript.src).href;
  const loading = new Map();

  function load(address) {
    if (!loading.has(address)) {
      loading.set(address, new Promise((resolve, reject) => {
        const script = document.createElement("script");
        script.src = address;
        script.onload = () => resolve(window.lastLiveFigure);
        script.onerror = () => reject(new Error(`${address} could not be loaded`));
        document.head.append(script);
      }));
    }
    return loading.get(address);
  }

  window.liveFigure = (figure) => { window.lastLiveFigure = figure; };

  async function wake(place) {
    try {
      await load(plotly);
      const { data, layout, frames, config } = await load(new URL(place.dataset.figure, document.baseURI).href);
      const drawing = document.createElement("div");
      place.append(drawing);
      const wide = { ...layout, autosize: true, width: undefined };
      const kept = { displaylogo: false, ...config, responsive: true, showSendToCloud: false };  // no button that uploads
      await Plotly.newPlot(drawing, { data, layout: wide, frames, config: kept });
      place.firstElementChild.remove();
      place.classList.add("awake");
    } catch (error) {
      const words = document.createElement("p");
      words.setAttribute("role", "alert");
      words.textContent = `This figure cannot be moved: ${error.message}`;
      place.append(words);
    }
  }

  const watch = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (entry.isIntersecting) {
        watch.unobserve(entry.target);
        wake(entry.target);
      }
    }
  }, { rootMargin: "300px" });
  document.querySelectorAll(".live-figure").forEach((place) => watch.observe(place));
})();
