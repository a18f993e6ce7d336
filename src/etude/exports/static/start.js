
({latents: latentPage, samples: samplesPage, drawing: drawingPage, pictures: picturesPage})[content.page]();
